"""The log is one JSON object a line, whatever it is told, and each answer says which lines belong to it."""

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from runbookweb import correlation
from runbookweb.log import JsonLines

LOGGER = logging.getLogger("tests.log")


def logged(message: str, *args: object, level: int = logging.INFO, extra=None, exc_info=None) -> dict[str, Any]:
    """What the log says of it."""
    record = LOGGER.makeRecord(LOGGER.name, level, "here.py", 1, message, args, exc_info, extra=extra)
    line = JsonLines().format(record)
    assert line.isprintable()
    return json.loads(line)


def test_a_line_says_when_who_and_what():
    line = contextvars.Context().run(logged, "%s is full", "the disk", level=logging.WARNING)
    time = datetime.fromisoformat(line.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert datetime.now(UTC) - time < timedelta(minutes=1)
    assert line == {"level": "WARNING", "logger": "tests.log", "message": "the disk is full"}


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred\x00\r", "half a pair: \ud800", "next\u2028line\x85"])
def test_no_text_breaks_its_line(text):
    assert logged("%s", text)["message"] == text


def test_a_traceback_is_one_field():
    try:
        int("twelve")
    except ValueError:
        line = logged("It went wrong", level=logging.ERROR, exc_info=sys.exc_info())
    assert line["message"] == "It went wrong"
    assert line["exception"].startswith("Traceback ")
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: 'twelve'")


def test_a_line_names_its_run_and_nothing_that_it_was_not_meant_to():
    line = logged("settled", extra={"run_id": 7, "seconds": 1.5, "request": object()})
    assert (line["run_id"], line["seconds"]) == (7, 1.5)
    assert "request" not in line


@pytest.mark.parametrize("asked", ["job-7", "A.b_c-9", "x" * 128])
def test_the_answer_has_the_correlation_id_of_the_request(asked):
    assert Client().get("/healthz", headers={"x-correlation-id": asked})["X-Correlation-Id"] == asked


@pytest.mark.parametrize("asked", [None, "", "x" * 129, "a b", "a,b", "é", 'a"b', "../a"])
def test_without_a_sane_correlation_id_the_answer_has_a_new_one(asked):
    headers = {} if asked is None else {"x-correlation-id": asked}
    made = {Client().get("/healthz", headers=headers)["X-Correlation-Id"] for _ in range(2)}
    assert len(made) == 2
    assert all(len(one) == 32 and one.isalnum() for one in made)


def test_what_is_logged_while_a_request_is_answered_has_its_correlation_id(caplog, db):
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(JsonLines())
    Client().post("/login/", {"subject": "alice", "roles": ""}, headers={"x-correlation-id": "job-7"})
    line = json.loads(caplog.text)
    assert (line["message"], line["actor"], line["correlation_id"]) == ("Signed in: alice", "alice", "job-7")


def test_an_id_that_could_forge_a_line_is_not_taken():
    taken = contextvars.Context().run(correlation.begin, 'job-7\n{"level": "ERROR"}')
    assert len(taken) == 32
