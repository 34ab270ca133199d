"""What a script gets to run other runbooks with: where, as whom, as a part of which run, and for how long."""

import base64
import json
import time
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from runbooks.access import tokens
from runbooks.access.actor import Actor
from runbooks.document.validate import InvalidValues
from runbooks.execution import environment, launch
from runbooks.models import Run, State
from runbookweb.env import BadVariable, Configuration

from .supervising import until

SHOW = "env > ../draft; mv ../draft ../environment"
WAIT = "until [ -e go ]; do sleep 0.01; done"
OTHERS = {"SECRET_KEY": "x" * 40, "ALLOWED_HOSTS": "runbooks.example"}


def variables(settings) -> dict[str, str]:
    """What the script found, once it has looked; the variable of several lines is there by its first one."""
    file = settings.EXECUTION_DIR / "environment"
    until(file.exists)
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_script_gets_what_it_needs_to_run_others(a_run, finish, settings):
    run = a_run(SHOW)
    Run.objects.update(correlation_id="deploy-7")
    run.refresh_from_db()
    finish(run)
    got = variables(settings)
    assert got["RUNBOOK_RUN_ID"] == str(run.pk)
    assert got["RUNBOOK_URL"] == settings.API_URL
    assert got["RUNBOOK_CORRELATION_ID"] == "deploy-7"
    assert got["RUNBOOK_RECURSION_STACK"] == '["restart.md"]'
    assert got["RUNBOOK_EXEC_DIR_HOST"] == str(run.work)
    assert got["RUNBOOK_H_AUTH"] == f"Authorization: Bearer {got['RUNBOOK_API_TOKEN']}"
    assert got["RUNBOOK_H_CORR"] == "X-Correlation-Id: deploy-7"
    assert got["RUNBOOK_H_RECUR"] == 'X-Recursion-Stack: ["restart.md"]'
    assert got["RUNBOOK_H_CTYPE"] == "Content-Type: application/json"


def test_the_headers_are_also_there_as_one_a_line(a_run, finish):
    run = finish(a_run("printf '%s\\n' \"$RUNBOOK_HEADERS\" | cut -d : -f 1"))
    lines = [line.split(" F ")[1] for line in run.log.read_text().splitlines()]
    assert lines == ["Authorization", "X-Correlation-Id", "X-Recursion-Stack", "Content-Type"]


def test_a_run_that_no_request_has_asked_for_ties_its_sub_runs_together_all_the_same(a_run):
    run = a_run()
    run.correlation_id = ""
    assert environment.own_values(run, token="")["RUNBOOK_CORRELATION_ID"] == f"run-{run.pk}"


def test_the_token_is_the_caller_for_this_run_until_it_ends(a_run, begin, settings):
    run = a_run(f"{SHOW}; {WAIT}", settings={"timeout": 100})
    supervisor = begin(run)
    token = variables(settings)["RUNBOOK_API_TOKEN"]
    assert tokens.read(token) == tokens.Token(Actor("alice", {"roles": ("sre",)}), run.pk)
    payload = jwt.decode(token, options={"verify_signature": False})
    lifetime = timedelta(seconds=payload["exp"] - time.time())
    assert timedelta(minutes=-1) < lifetime - environment.MARGIN < timedelta(seconds=100 + launch.GRACE)
    (run.work / "go").touch()
    supervisor.wait()
    run.move(State.RUNNING, state=State.SUCCEEDED)
    with pytest.raises(tokens.BadToken, match="made for a run that has ended"):
        tokens.read(token)


def test_the_token_is_in_no_log_in_whatever_form(a_run, finish, settings):
    run = finish(
        a_run(
            f'{SHOW}; echo "$RUNBOOK_API_TOKEN"; echo "$RUNBOOK_H_AUTH" >&2; env | grep RUNBOOK;'
            'printf %s "$RUNBOOK_API_TOKEN" | base64; printf "user:%s" "$RUNBOOK_API_TOKEN" | base64 -w 0'
        )
    )
    token = variables(settings)["RUNBOOK_API_TOKEN"].encode()
    log = run.log.read_bytes()
    assert b"stdout F ***\n" in log
    assert b"stderr F Authorization: Bearer ***\n" in log
    assert token[-20:] not in log
    assert not [line for line in base64.encodebytes(token).splitlines()[:-1] if line in log]
    assert base64.b64encode(b"user:" + token)[12:-8] not in log


def test_the_token_is_in_no_file_and_in_no_arguments(a_run, begin, settings):
    run = a_run(f"{SHOW}; {WAIT}")
    supervisor = begin(run)
    secret = variables(settings)["RUNBOOK_API_TOKEN"].encode()
    assert secret not in Path(f"/proc/{supervisor.pid}/cmdline").read_bytes()
    assert not any(secret in file.read_bytes() for file in run.folder.iterdir() if file.is_file())
    (run.work / "go").touch()
    supervisor.wait()


def test_no_value_and_no_variable_of_the_servers_takes_the_place_of_ours(a_run, finish, monkeypatch, settings):
    settings.SCRIPT_ENV = ("*",)
    monkeypatch.setenv("RUNBOOK_URL", "http://elsewhere.example")
    with pytest.raises(InvalidValues):
        a_run(values={"RUNBOOK_URL": "http://elsewhere.example"})
    run = a_run(SHOW)
    run.move(State.QUEUED, values={"RUNBOOK_URL": "http://elsewhere.example", "RUNBOOK_RUN_ID": "1"})
    finish(run)
    got = variables(settings)
    assert (got["RUNBOOK_URL"], got["RUNBOOK_RUN_ID"]) == (settings.API_URL, str(run.pk))


def test_names_of_all_languages_stay_one_line_of_ascii(a_run, settings):
    run = a_run()
    run.runbook = "Übung/見本.md"
    header = environment.own_values(run, token="")["RUNBOOK_H_RECUR"]
    assert header.isascii()
    assert json.loads(header.partition(": ")[2]) == ["Übung/見本.md"]


def test_a_stack_too_long_for_a_header_keeps_its_newest_names(a_run, monkeypatch):
    paths = [f"{number}/{'x' * 400}.md" for number in range(50)]
    monkeypatch.setattr(environment, "stack_of", lambda run: list(paths))
    stack = environment.own_values(a_run(), token="")["RUNBOOK_RECURSION_STACK"]
    assert 3500 < len(stack) <= environment.LONGEST_STACK
    assert json.loads(stack)[-1] == paths[-1]


@pytest.mark.parametrize("mounted", ["/srv/work", "/srv/work/"])
def test_the_host_of_containers_sees_the_working_folder_elsewhere(a_run, settings, mounted):
    settings.MOUNT_DIR = mounted
    run = a_run()
    assert environment.own_values(run, token="")["RUNBOOK_EXEC_DIR_HOST"] == f"/srv/work/{run.pk}"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8083"),
        ({"BIND_ADDRESS": "::1", "API_PORT": "9000"}, "http://[::1]:9000"),
        ({"BIND_ADDRESS": "0.0.0.0", **OTHERS}, "http://127.0.0.1:8083"),  # noqa: S104
        ({"BIND_ADDRESS": "::", **OTHERS}, "http://[::1]:8083"),
        ({"BIND_ADDRESS": "192.0.2.1", **OTHERS}, "http://192.0.2.1:8083"),
        ({"API_HOST": "Runbooks.example", "API_PROTOCOL": "HTTPS"}, "https://runbooks.example:8083"),
        ({"API_HOST": "[2001:DB8::1]"}, "http://[2001:db8::1]:8083"),
    ],
)
def test_scripts_are_told_where_the_server_is_and_the_server_answers_there(tmp_path, environ, url):
    configuration = Configuration({"DATA_DIR": str(tmp_path / "var"), **environ})
    assert configuration.api_url == f"{url}/api/runbooks"
    assert configuration.API_HOST in configuration.ALLOWED_HOSTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PROTOCOL", "ftp"),
        ("API_HOST", "http://runbooks.example"),
        ("API_HOST", "runbooks.example:9000"),
        ("API_HOST", "a b"),
        ("API_HOST", "runbooks.example\n"),
        ("MAX_RECURSION_DEPTH", "-1"),
        ("MAX_RECURSION_DEPTH", "1001"),
    ],
)
def test_an_address_that_no_script_could_ask_is_named_at_the_start(tmp_path, name, value):
    with pytest.raises(BadVariable, match=f"^{name}: "):
        Configuration({"DATA_DIR": str(tmp_path / "var"), name: value})


def test_a_provided_value_is_masked_if_its_runbook_says_that_it_is_secret(a_run, finish, settings, monkeypatch):
    settings.SCRIPT_ENV = (*settings.SCRIPT_ENV, "DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL", "postgres://ops:opensesame@db/ops")
    run = a_run('echo "$DATABASE_URL"', requirements={"DATABASE_URL": {"description": "where", "secret": True}})
    assert finish(run).log.read_text().endswith(" stdout F ***\n")
