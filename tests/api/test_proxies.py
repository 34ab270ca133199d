"""Behind a real nginx: nothing is cut for being silent, nothing is held back, and who leaves changes nothing."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.api.nginx import nginx, plain_site, self_signed
from tests.conftest import Library, runbook_source
from tests.processes import MEGABYTE, ROOT, Process, free_port, until
from tests.serving import Program, Site, signed_in

SILENT = "echo before; sleep 8; echo after"
FLOOD = "head -c 50000000 /dev/zero | tr '\\0' x | fold -w 8000; echo"
# Each line is the time at which it was printed.
CLOCK = "for tick in 1 2 3 4 5; do date +%s.%N; sleep 0.4; done"
LATE = 0.25  # seconds
PASSWORD = "correct horse battery"
TIME = re.compile(rb"\d{10}\.\d{9}")
SSE, NDJSON = {"Accept": "text/event-stream"}, {"Accept": "application/x-ndjson"}
FORMS = {"json": {}, "sse": SSE, "ndjson": NDJSON}
COMPRESSING = "gzip on; gzip_types *; gzip_min_length 1;"
UPGRADING = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'


@pytest.fixture
def server(site: Site, library: Library) -> Iterator[Process]:
    for name, script in {"silent": SILENT, "clock": CLOCK}.items():
        library.add(f"{name}.md", runbook_source(name=name, script=script))
    with site.serving(ALLOWED_HOSTS="runbooks.example") as server:
        yield server


@pytest.fixture
def direct(server: Process) -> Program:
    """A program that asks the server itself."""
    return signed_in(server, "sre")


@pytest.fixture
def behind(direct: Program, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Put an nginx with these options before the server; what is returned is the program, asking through it."""
    with ExitStack() as running:

        def behind(options: str = "") -> Program:
            port, site = plain_site(server=direct.server.port, options=options)
            running.enter_context(nginx(tmp_path / f"nginx-{port}", site, port=port))
            return direct.through(port)

        yield behind


def ask_to_execute(program: Program, path: str, **headers: str) -> HTTPConnection:
    return program.ask("POST", f"/api/runbooks/{path}/execute", {"env_vars": {}}, **headers)


def events(sse: bytes) -> list[tuple[str, str]]:
    """The names and the data of the events of a stream, without its comments."""
    found = []
    for block in sse.decode().split("\n\n"):
        fields = [line.partition(": ")[::2] for line in block.split("\n")]
        if name := dict(fields).get("event"):
            found.append((name, "\n".join(value for field, value in fields if field == "data")))
    return found


def as_they_come(answer: HTTPResponse) -> Iterator[bytes]:
    """The parts of an answer's body, as soon as each is there."""
    unzip = zlib.decompressobj(wbits=31).decompress if answer.getheader("Content-Encoding") == "gzip" else bytes
    return (unzip(part) for part in iter(lambda: answer.read1(65536), b""))


def delays(parts: Iterable[bytes]) -> list[float]:
    """How long after its print each of the clock's lines has arrived."""
    found = [time.time() - float(printed) for part in parts for printed in TIME.findall(part)]
    return found[:5]  # the last event of some streams says everything again


def test_a_silent_script_is_cut_by_no_proxy(behind):
    program = behind()
    waiting = {form: ask_to_execute(program, "silent.md", **headers) for form, headers in FORMS.items()}
    answers = {form: connection.getresponse() for form, connection in waiting.items()}
    assert {answer.status for answer in answers.values()} == {200}
    whole = json.load(answers["json"])
    assert (whole["stdout"], whole["return_code"]) == ("before\nafter\n", 0)
    streamed = events(answers["sse"].read())
    assert "".join(data for name, data in streamed if name == "stdout") == "before\nafter\n"
    assert json.loads(streamed[-1][1])["stdout"] == "before\nafter\n"
    lines = [json.loads(line) for line in answers["ndjson"].read().splitlines()]
    assert lines[-1]["data"]["stdout"] == "before\nafter\n"


@pytest.mark.parametrize("headers", [SSE, NDJSON])
@pytest.mark.parametrize("options", ["", COMPRESSING], ids=["as shipped", "compressing"])
def test_each_line_comes_when_it_is_printed(behind, headers, options):
    answer = ask_to_execute(behind(options), "clock.md", **headers, **{"Accept-Encoding": "gzip"}).getresponse()
    assert (answer.getheader("Content-Encoding") == "gzip") == (options == COMPRESSING)
    late = delays(as_they_come(answer))
    assert len(late) == 5
    assert max(late) < LATE


def test_a_reader_of_the_run_gets_each_line_when_it_is_printed(behind, direct):
    _, run = direct.execute("clock.md")
    answer = behind().ask("GET", f"/api/runs/{run['run_id']}/events", **SSE).getresponse()
    late = delays(as_they_come(answer))
    assert len(late) == 5
    assert max(late[1:]) < LATE  # the first was printed before the reader came


def open_socket(program: Program, run: dict) -> ClientConnection:
    authorization = {"Authorization": program.authorization}
    url = f"ws://127.0.0.1:{program.port or program.server.port}/api/runs/{run['run_id']}/socket"
    return connect(url, additional_headers=authorization, proxy=None)


def test_a_socket_gets_each_line_when_it_is_printed(behind, direct):
    _, run = direct.execute("clock.md")
    with open_socket(behind(UPGRADING), run) as socket:
        late = delays(message.encode() for message in socket)
    assert len(late) == 5
    assert max(late[1:]) < LATE
    assert socket.close_code == 1000


def test_a_socket_that_is_not_read_costs_no_memory_and_misses_nothing(site, library):
    library.add("flood.md", runbook_source(name="flood", script=FLOOD))
    with site.serving(MAX_OUTPUT_SIZE_BYTES="100000000") as server:
        program = signed_in(server)
        _, run = program.execute("flood.md")
        before = server.peak_memory()
        with open_socket(program, run) as socket:
            until(lambda: site.query("state") == [("succeeded",)], seconds=60)
            messages = [json.loads(message) for message in socket]
        printed = "".join(message["data"] for message in messages if message["event"] == "stdout")
        assert len(printed) == 50_006_250
        assert server.peak_memory() - before < 25 * MEGABYTE


def curl(port: int, path: str, *options: str, authorization: str) -> subprocess.Popen:
    command = ["curl", "-sN", f"http://127.0.0.1:{port}{path}", "-H", f"Authorization: {authorization}", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.parametrize("is_behind", [False, True], ids=["direct", "behind nginx"])
def test_a_killed_synchronous_call_changes_nothing(site, behind, direct, go, is_behind):
    port = behind().port if is_behind else direct.server.port
    sent = ["-X", "POST", "-H", "Content-Type: application/json", "-d", '{"env_vars": {}}']
    path = "/api/runbooks/wait.md/execute"
    with curl(port, path, *sent, authorization=direct.authorization) as client:
        until(lambda: site.query("state") == [("running",)] and "begun" in site.printed(1))
        client.kill()
    go.touch()
    assert until_ended(direct, 1)["stdout"] == "begun\ngone on\n"


def test_a_killed_reader_changes_nothing(site, direct, go):
    _, run = direct.execute("wait.md")
    with curl(direct.server.port, f"/api/runs/{run['run_id']}/events", authorization=direct.authorization) as client:
        assert until(lambda: b"begun" in client.stdout.readline())
        client.kill()
    go.touch()
    assert until_ended(direct, run["run_id"])["stdout"] == "begun\ngone on\n"


def until_ended(program: Program, run: int) -> dict:
    """What the API says of this run, and of its output, once it has ended well."""
    until(lambda: program("GET", f"/api/runs/{run}")[1]["status"] == "succeeded")
    return program("GET", f"/api/runs/{run}?after=0")[1]


@dataclass(frozen=True)
class Person:
    """Somebody with an account who uses a browser, with the server behind deploy/nginx.conf."""

    port: int
    trust: ssl.SSLContext
    client: httpx.Client

    def sign_in(self) -> httpx.Response:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.client.get("/login/").text)[1]
        form = {"csrfmiddlewaretoken": token, "username": "ann", "password": PASSWORD}
        return self.client.post("/login/", data=form)


@pytest.fixture
def ann(site: Site, server: Process, tmp_path: Path) -> Iterator[Person]:
    account = {"DJANGO_SUPERUSER_USERNAME": "ann", "DJANGO_SUPERUSER_PASSWORD": PASSWORD, "DATA_DIR": str(site.data)}
    command = [sys.executable, "manage.py", "createsuperuser", "--noinput", "--email", "ann@runbooks.example"]
    subprocess.run(command, cwd=ROOT, env=os.environ | account, check=True, stdout=subprocess.DEVNULL)
    port = free_port()
    certificate = self_signed(tmp_path)
    example = (ROOT / "deploy/nginx.conf").read_text()
    for name, ours in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server 127.0.0.1:8083": f"server 127.0.0.1:{server.port}",
        "/etc/ssl/certs/runbooks.example.pem": str(certificate),
        "/etc/ssl/private/runbooks.example.key": str(certificate),
    }.items():
        assert name in example
        example = example.replace(name, ours)
    trust = ssl.create_default_context(cafile=certificate)
    headers = {"Host": "runbooks.example", "Origin": "https://runbooks.example"}
    url = f"https://127.0.0.1:{port}"
    with (
        nginx(tmp_path / "nginx", example, port=port),
        httpx.Client(base_url=url, verify=trust, headers=headers, timeout=20) as client,
    ):
        yield Person(port, trust, client)


def test_a_person_signs_in_and_follows_a_run_behind_the_example(ann, direct):
    assert ann.sign_in().headers["location"] == "/runbooks/"
    _, run = direct.execute("clock.md")
    with ann.client.stream("GET", f"/runs/{run['run_id']}/events/") as answer:
        late = delays(answer.iter_raw())
    assert len(late) == 5
    assert max(late[1:]) < LATE


def test_a_browser_opens_a_socket_behind_the_example(ann, direct, go):
    ann.sign_in()
    _, run = direct.execute("wait.md")
    go.touch()
    address = f"wss://runbooks.example/api/runs/{run['run_id']}/socket"
    cookie = "; ".join(f"{name}={value}" for name, value in ann.client.cookies.items())
    headers = {"origin": "https://runbooks.example", "additional_headers": {"Cookie": cookie}}
    where = {"address": ("127.0.0.1", ann.port), "ssl": ann.trust, "server_hostname": "127.0.0.1", "proxy": None}
    with connect(address, **headers, **where) as socket:
        messages = [json.loads(message) for message in socket]
    assert "".join(message["data"] for message in messages if message["event"] == "stdout") == "begun\ngone on\n"
