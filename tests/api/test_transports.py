"""One run in every form: the same output, byte for byte, and the same end."""

import threading
from pathlib import Path

import pytest

from tests.api.clients import Program, Told, events_of, objects_of, told_by
from tests.processes import until

SSE, NDJSON = "text/event-stream", "application/x-ndjson"


@pytest.fixture(scope="module")
def run(alice) -> dict:
    """A run that printed all sorts of things, and has ended."""
    return alice.execute("mixed.md").json()


@pytest.fixture(scope="module")
def printed(run, server) -> tuple[str, str]:
    """What its script wrote, by the log itself."""
    log = (server.data / "runs" / str(run["run_id"]) / "log").read_bytes()
    streams = {"stdout": b"", "stderr": b""}
    for line in log.removesuffix(b"\n").split(b"\n"):
        _, stream, tag, content = line.split(b" ", 3)
        streams[stream.decode()] += content + (b"\n" if tag == b"F" else b"")
    return tuple(text.decode("utf-8", "replace") for text in streams.values())


def sent_as_events(output: tuple[str, str]) -> tuple[str, str]:
    """Server-Sent Events cannot carry a carriage return: its picture stands for it."""
    return tuple(text.replace("\r", "␍") for text in output)


def without_times(done: dict) -> dict:
    return {name: value for name, value in done.items() if name not in OF_ONE_RUN}


OF_ONE_RUN = ("run_id", "viewer_link", "queued_at", "started_at", "ended_at", "offset")


def test_the_synchronous_answer_is_what_the_script_wrote(run, printed):
    assert (run["stdout"], run["stderr"]) == printed
    assert "bar 2\r\n\rhälf\n\ufffd bad \0 nul\n" in run["stdout"]
    assert "half € and more\n\n\n" in run["stderr"]
    assert (run["success"], run["return_code"], run["status"]) == (False, 3, "failed")


def test_events_of_the_post_itself(alice, run, printed):
    with alice.client.stream("POST", "/api/runbooks/mixed.md/execute", headers={"Accept": SSE}) as answer:
        told = told_by(events_of(answer))
    assert told.output == sent_as_events(printed)
    assert without_times(told.done) == without_times(run)


def test_lines_of_json_of_the_post_itself(alice, run, printed):
    with alice.client.stream("POST", "/api/runbooks/mixed.md/execute", headers={"Accept": NDJSON}) as answer:
        told = told_by(objects_of(answer.iter_lines()))
    assert told.output == printed
    assert without_times(told.done) == without_times(run)


FORMS = {"events": Program.events, "lines": Program.lines, "socket": Program.socket, "polled": Program.polled}


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_has_ended_comes_in_every_form(alice, run, printed, form):
    told: Told = FORMS[form](alice, run["run_id"])
    assert told.output == (sent_as_events(printed) if form == "events" else printed)
    assert {name: told.done[name] for name in ("success", "return_code", "status")} == {
        "success": False,
        "return_code": 3,
        "status": "failed",
    }


def test_a_run_that_goes_on_comes_to_all_at_once(alice, printed):
    run = alice.begin("mixed.md")
    told: dict[str, Told] = {}
    readers = [
        threading.Thread(target=lambda name=name: told.update({name: FORMS[name](alice, run)})) for name in FORMS
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert told.pop("events").output == sent_as_events(printed)
    assert [what.output for what in told.values()] == [printed] * 3


def test_a_reader_goes_on_at_any_event_without_a_gap(alice, run, printed):
    whole = alice.events(run["run_id"])
    for number in range(1, len(whole.ids)):
        head = alice.events(run["run_id"], most=number)
        tail = alice.events(run["run_id"], **{"Last-Event-ID": str(head.ids[-1])})
        assert (head.stdout + tail.stdout, head.stderr + tail.stderr) == sent_as_events(printed)


def test_the_address_may_say_where_to_go_on_and_the_header_knows_better(alice, run):
    whole = alice.socket(run["run_id"])
    at = whole.ids[2]
    rest = alice.socket(run["run_id"], query=f"?after={at}")
    assert rest.ids == whole.ids[3:]
    address = f"/api/runs/{run['run_id']}/events?after=0"
    with alice.client.stream("GET", address, headers={"Last-Event-ID": str(at)}) as answer:
        assert told_by(events_of(answer)).ids == whole.ids[3:]


def test_the_log_comes_as_its_file_has_it(alice, run, server):
    answer = alice.client.get(f"/api/runs/{run['run_id']}/log")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content == (server.data / "runs" / str(run["run_id"]) / "log").read_bytes()


def test_a_large_log_comes_whole_in_every_form(alice):
    answer = alice.execute("flood.md").json()
    assert answer["stdout"].count("\n") == 200_000
    for form in (Program.events, Program.lines, Program.socket, Program.polled):
        assert form(alice, answer["run_id"]).stdout == answer["stdout"]


def test_a_quiet_script_is_no_silence(alice):
    with alice.client.stream("POST", "/api/runbooks/quiet.md/execute") as answer:
        body = b"".join(answer.iter_raw())
    assert body.startswith(b" ")
    assert b'"stdout": "at last\\n"' in body


def test_an_asynchronous_start_says_where_the_run_is(alice, tmp_path: Path):
    go = tmp_path / "go"
    answer = alice.execute("wait.md", {"env_vars": {"GO": str(go)}}, Prefer="respond-async")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    address = answer.headers["Location"]
    assert alice.client.get(address).json()["ended_at"] is None
    go.touch()
    assert alice.client.get(address, params={"wait": 20}).json()["success"] is True


def test_a_poll_waits_for_news_and_not_longer(alice, tmp_path: Path):
    run = alice.begin("wait.md", GO=str(tmp_path / "go"))
    until(lambda: alice.run(run)["status"] == "running")
    assert alice.run(run, after=0, wait=1)["stdout"] == ""
    (tmp_path / "go").touch()
    news = alice.run(run, after=0, wait=30)
    assert news["stdout"] == "went\n"
    assert alice.run(run, after=news["offset"], wait=30)["status"] == "succeeded"


def test_a_stream_can_be_asked_for_in_the_address(alice):
    with alice.client.stream("POST", "/api/runbooks/true.md/execute?stream=true") as answer:
        assert answer.headers["Content-Type"].startswith(SSE)
        assert told_by(events_of(answer)).done["success"] is True


def test_streams_are_not_kept_nor_held_back(alice, run):
    for path in (f"/api/runs/{run['run_id']}/events", f"/api/runs/{run['run_id']}"):
        headers = alice.client.get(path).headers
        assert "no-cache" in headers["Cache-Control"]
        assert headers["X-Accel-Buffering"] == "no"
