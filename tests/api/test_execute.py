"""Executing over the API: what is sent, what is refused, and that leaving changes nothing."""

import http.client
import json
import sqlite3
import threading
import uuid
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from channels.testing import ApplicationCommunicator
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.api.consumers import Execute
from tests.api.clients import Program
from tests.processes import until


def failure(answer: httpx.Response) -> tuple[int, str]:
    """The status and the sentence of a failure, which is JSON whatever went wrong."""
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert body["success"] is False
    assert "Traceback" not in answer.text
    return answer.status_code, body["error"]


@pytest.mark.parametrize("address", ["true.md", "true", "ops/deep er.md", "ops%2Fdeep%20er.md", "ops/deep%20er"])
def test_a_runbook_is_addressed_by_its_path_in_each_form(alice, address):
    answer = alice.execute(address)
    assert answer.status_code == 200
    assert answer.json()["success"] is True


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"env_vars": ["WORD"]}', "env_vars"),
        (b'{"env_vars": {"WORD": null}}', "WORD"),
        (b'{"env_vars": {"WORD": ["a"]}}', "WORD"),
        (b'{"env_vars": {"WORD": "a\\u0000b"}}', "NUL"),
        (b'{"env_vars": {"WORD": "\\ud800"}}', "surrogate"),
        (b'{"env_vars": {"WORD": "a", "WORD": "b"}}', "twice"),
        (b'{"env_vars": {"WORD": "a", "LD_PRELOAD": "x"}}', "LD_PRELOAD"),
        (b'{"env_vars": {"WORD": "a", "RUNBOOK_URL": "x"}}', "RUNBOOK_URL"),
        (b'{"env_vars": {}}', "WORD: a value is needed"),
        (b'{"env_vars": {"WORD": "%s"}}' % (b"a" * 1_000_000), "32 KiB"),
        (b"\xff", "UTF-8"),
        (b"[" * 100_000, "nested"),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_cannot_be_used_is_refused_with_a_sentence(alice, body, says):
    answer = alice.client.post(
        "/api/runbooks/say.md/execute", content=body, headers={"Content-Type": "application/json"}
    )
    status, sentence = failure(answer)
    assert status == 400
    assert says in sentence + str(answer.json().get("errors"))


def test_a_large_body_full_of_mistakes_gets_a_small_answer(alice):
    for values in ({f"RUNBOOK_{number}": "" for number in range(40_000)}, {"N" * 1_000_000: "a"}):
        answer = alice.execute("say.md", {"env_vars": values})
        assert failure(answer)[0] == 400
        assert len(answer.content) < 15_000


def test_what_is_sent_without_its_type_or_too_long_is_refused(alice):
    address = "/api/runbooks/say.md/execute"
    assert failure(alice.client.post(address, content="WORD=a"))[0] == 415
    large = json.dumps({"env_vars": {"WORD": "a" * 1024 * 1024}})
    assert failure(alice.client.post(address, content=large, headers={"Content-Type": "application/json"}))[0] == 413
    assert failure(alice.client.post(address, content=b"a" * 4_000_000))[0] == 413


def test_numbers_and_truths_are_values_too(alice):
    assert alice.execute("say.md", {"env_vars": {"WORD": 12}}).json()["stdout"] == "12\n"
    assert alice.execute("say.md", {"env_vars": {"WORD": True}}).json()["stdout"] == "true\n"


def test_control_characters_reach_the_script_as_they_are(alice):
    assert alice.execute("say.md", {"env_vars": {"WORD": "a\a\x1b[1m\r\tb"}}).json()["stdout"] == "a\a\x1b[1m\r\tb\n"


def test_what_the_runbook_does_not_ask_for_is_passed_on_with_a_warning(alice):
    run = alice.execute("say.md", {"env_vars": {"WORD": "a", "EXTRA": "b"}}).json()
    assert run["stdout"] == "ab\n"
    assert run["warnings"] == ["EXTRA: the runbook does not ask for this; the script gets it."]


def test_what_looks_secret_is_kept_secret_although_nobody_asked_for_it(alice, server):
    values = {"WORD": "a", "EXTRA": "-", "MY_TOKEN": "hunter2hunter2", "WORD2": "hunter2hunter2"}
    run = alice.execute("say.md", {"env_vars": {**values, "EXTRA": "hunter2hunter2"}}).json()
    assert run["stdout"] == "a***\n"
    assert b"hunter2" not in (server.data / "runs" / str(run["run_id"]) / "log").read_bytes()


def test_a_form_that_cannot_be_read_starts_nothing(alice):
    runs = alice.client.get("/api/runs").json()["runs"]
    status, sentence = failure(alice.execute("true.md", Accept="text/plain; q*=nope''%41"))
    assert (status, sentence.partition(":")[0]) == (400, "Accept")
    assert alice.client.get("/api/runs").json()["runs"] == runs


def test_a_type_that_cannot_be_read_is_refused(alice):
    kind = {"Content-Type": "application/json; charset*=nope''%41"}
    for path in ("/api/runs/1/cancel", "/api/runbooks/say.md/execute", "/dev-login", "/login/"):
        assert failure(alice.client.post(path, content=b"{", headers=kind))[0] == 400


@pytest.mark.parametrize("stack", ["[", "[7]", '[["true.md"]]', '["\\ud800", "true.md"]', "[" * 10_000, "a," * 200])
def test_a_recursion_stack_is_a_list_of_names(alice, stack):
    status, sentence = failure(alice.execute("true.md", **{"X-Recursion-Stack": stack}))
    assert (status, sentence.partition(":")[0]) == (400, "X-Recursion-Stack")


@pytest.mark.parametrize("stack", ['["other.md", "true.md"]', "other.md, true"])
def test_a_recursion_stack_is_believed_where_it_makes_things_stricter(alice, stack):
    assert failure(alice.execute("true.md", **{"X-Recursion-Stack": stack}))[0] == 409
    assert alice.execute("say.md", {"env_vars": {"WORD": "a"}}, **{"X-Recursion-Stack": stack}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_it_is_posted_to(alice, method):
    answer = alice.client.request(method, "/api/runbooks/true.md/execute")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert method == "HEAD" or failure(answer)[0] == 405


def test_who_may_not_is_told_why_and_recorded(alice, dora):
    status, sentence = failure(alice.execute("guarded.md"))
    assert (status, sentence) == (403, "You need one of these roles: dba. You have: sre.")
    runs = dora.client.get("/api/runs", params={"runbook": "guarded.md", "state": "refused"}).json()["runs"]
    assert (runs[0]["actor"], runs[0]["return_code"]) == ("alice", 403)
    assert dora.execute("guarded.md").json()["stdout"] == "secret\n"


@pytest.mark.parametrize("header", [None, "Bearer x", "Basic YTpi", "Bearer"])
def test_a_token_is_needed(server, header):
    answer = httpx.post(
        f"{server.url}/api/runbooks/true.md/execute", headers={"Authorization": header} if header else {}
    )
    assert failure(answer)[0] == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_what_cannot_run_says_so(alice):
    assert failure(alice.execute("none.md"))[0] == 404
    assert failure(alice.execute("..%2f..%2fetc%2fpasswd"))[0] == 404
    assert failure(alice.execute("broken.md"))[0] == 409
    status, sentence = failure(alice.execute("ask.md"))
    assert (status, "confirm" in sentence) == (409, True)
    assert alice.execute("ask.md", {"confirm": True}).json()["stdout"] == "sure\n"


def test_why_and_from_where_it_was_asked_for_is_recorded(alice, server):
    run = alice.execute("ask.md", {"confirm": True, "reason": "it\nlags"}).json()["run_id"]
    with closing(sqlite3.connect(server.data / "db.sqlite3")) as database:
        found = database.execute("SELECT reason, address FROM runbooks_run WHERE id = ?", [run]).fetchone()
    assert found == ("it lags", "127.0.0.1")
    assert failure(alice.execute("ask.md", {"confirm": True, "reason": "x" * 501}))[0] == 400


def test_a_text_becomes_the_file_that_a_runbook_asks_for(alice):
    dump = "select 1;\n" * 20_000  # more than any other value may have
    told = alice.execute("load.md", {"env_vars": {"DUMP": dump, "HOSTS": "c\na b"}}).json()
    assert told["stdout"] == f"DUMP.txt\n{dump}a b\nc\n"
    assert failure(alice.execute("load.md"))[1].endswith("DUMP: a file is needed.")


def test_the_same_key_starts_one_run(alice, dora):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"env_vars": {"WORD": "once"}}
    first, second = (alice.execute("say.md", body, **key).json() for _ in range(2))
    assert first == second
    assert failure(alice.execute("say.md", {"env_vars": {"WORD": "twice"}}, **key))[0] == 422
    assert failure(alice.execute("true.md", {}, **key))[0] == 422
    assert dora.execute("say.md", body, **key).json()["run_id"] != first["run_id"]
    assert failure(alice.execute("say.md", body, **{"Idempotency-Key": "a" * 256}))[0] == 400


def test_the_same_key_at_the_same_moment_starts_one_run(alice):
    key, answers = {"Idempotency-Key": uuid.uuid4().hex}, []
    programs = [threading.Thread(target=lambda: answers.append(alice.execute("true.md", **key))) for _ in range(8)]
    for program in programs:
        program.start()
    for program in programs:
        program.join(30)
    assert {answer.json()["run_id"] for answer in answers} == {answers[0].json()["run_id"]}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "application/x-ndjson"])
def test_leaving_changes_nothing(alice, server, tmp_path: Path, accept):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = {"Authorization": f"Bearer {alice.token}", "Accept": accept, "Content-Type": "application/json"}
    body = json.dumps({"env_vars": {"GO": str(tmp_path / "go")}})
    connection.request("POST", "/api/runbooks/wait.md/execute", body, headers)
    run = int(connection.getresponse().headers["Location"].rpartition("/")[2])
    until(lambda: alice.run(run)["status"] == "running")
    connection.close()
    (tmp_path / "go").touch()
    assert (alice.ended(run)["success"], alice.ended(run)["stdout"]) == (True, "went\n")


def test_where_to_go_on_must_be_an_offset_that_was_given(alice):
    run = alice.execute("mixed.md").json()
    for asked in ("7", "999999999", "-1", "x", "1e3", "٣"):
        for address in (f"/api/runs/{run['run_id']}?after={asked}", f"/api/runs/{run['run_id']}/events?after={asked}"):
            status, sentence = failure(alice.client.get(address))
            assert (status, "offset" in sentence) == (400, True)
    assert failure(alice.client.get(f"/api/runs/{run['run_id']}/events", headers={"Last-Event-ID": "7"}))[0] == 400
    assert failure(alice.client.get(f"/api/runs/{run['run_id']}?wait=soon"))[0] == 400
    assert alice.run(run["run_id"], after=run["offset"])["stdout"] == ""


def test_an_unknown_run_is_not_there(alice):
    for run in (999_999, 2**63, 10**30):
        for rest in ("", "/events", "/log"):
            assert failure(alice.client.get(f"/api/runs/{run}{rest}"))[0] == 404


def test_another_ones_run_is_not_there(alice, dora):
    run = dora.execute("guarded.md").json()["run_id"]
    for rest in ("", "/events", "/log"):
        assert failure(alice.client.get(f"/api/runs/{run}{rest}"))[0] == 404
    message, code = heard_by(alice, run)
    assert (message["event"], message["data"]["success"], code) == ("error", False, 4404)


def heard_by(program: Program, run: int, **headers: str) -> list[object]:
    """The messages of a socket, and the code that it closes with."""
    heard: list[object] = []
    headers = headers or {"Authorization": f"Bearer {program.token}"}
    address = f"{program.server.url.replace('http', 'ws')}/api/runs/{run}/socket"
    with connect(address, additional_headers=headers) as socket:
        try:
            for message in socket:
                heard.append(json.loads(message))  # what came before the close is heard, too
            heard.append(1000)
        except ConnectionClosedError as closed:
            heard.append(closed.rcvd.code)
    return heard


def test_a_socket_needs_a_token_or_the_session_of_a_page_of_ours(alice, server):
    run = alice.execute("true.md").json()["run_id"]
    page = httpx.Client(base_url=server.url)
    form = page.get("/login/").text
    token = form.partition('csrfmiddlewaretoken" value="')[2].partition('"')[0]
    page.post("/login/", data={"csrfmiddlewaretoken": token, "subject": "alice", "roles": "sre"})
    cookie = {"Cookie": f"runbookweb_session={page.cookies['runbookweb_session']}"}
    assert heard_by(alice, run, **cookie, Origin=server.url)[-1] == 1000
    assert heard_by(alice, run, **cookie, Origin="http://evil.example")[-1] == 4401
    assert heard_by(alice, run, **cookie)[-1] == 4401
    assert page.get(f"/api/runs/{run}").json()["success"] is True
    assert page.post(f"/api/runs/{run}/cancel").status_code == 401
    page.close()


def test_there_is_no_socket_anywhere_else(alice, server):
    for path in ("/", "/api/runs/x/socket", "/runs/1/events/"):
        with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{server.port}{path}"):
            pass


def test_a_stranger_host_is_not_answered(alice):
    answer = alice.client.get("/api/runs/1", headers={"Host": "evil.example"})
    assert failure(answer)[0] == 400


async def form_of_answer(token: str, accept: str) -> bytes:
    """The type of content that execute answers with, without a server between."""
    headers = [(b"host", b"localhost"), (b"accept", accept.encode()), (b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"stream=true", "headers": headers}
    scope["url_route"] = {"kwargs": {"rb": "restart.md"}}
    request = ApplicationCommunicator(Execute.as_asgi(), scope)
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    answer = await request.receive_output(5)
    await request.send_input({"type": "http.disconnect"})
    await request.wait(5)
    return dict(answer["headers"])[b"Content-Type"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson", "*/*"])
async def test_streams_can_be_switched_off(library, a_runbook, settings, accept):
    library.add("restart.md", a_runbook())
    token, _ = issue(Actor("alice"))
    assert await form_of_answer(token, accept) != b"application/json"
    settings.EXECUTION_STREAMING_ENABLED = False
    assert await form_of_answer(token, accept) == b"application/json"
