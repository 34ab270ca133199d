"""A server on which runs with secrets do their worst, and all that anybody can read of it meanwhile and afterwards."""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from websockets.sync.client import connect

from tests.conftest import runbook_source
from tests.execution.supervising import supervisors_in
from tests.processes import ROOT, Process, until
from tests.serving import Site

from .person import Person

REQUIREMENTS = """
PASSWORD: {description: Typed, secret: true}
PRIVATE_KEY: {description: Typed, type: multiline, secret: true}
PIN: {description: Typed wrongly, secret: true, pattern: "[a-z]*", required: false}
PROVIDED_TOKEN: From the server
GO: A file to wait for
TOLD: A file for what the test cannot know
"""
# It prints them in many forms, on both streams, before and after people begin to watch; as names of files, in what is
# kept of it, in JSON that does not end and in the last words of a script that fails.
WORST = """
import base64, html, json, os, pathlib, shlex, sys, time, urllib.parse as url

pathlib.Path(os.environ["TOLD"]).write_text(os.environ["RUNBOOK_API_TOKEN"])
os.mkdir("kept")


def tell(value):
    raw = value.encode()
    encoded = [encode(raw) for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes, bytes.hex)]
    quotes = (str, json.dumps, repr, url.quote, url.quote_plus, html.escape, shlex.quote)
    for form in [quote(value) for quote in quotes] + [str(form) for form in encoded]:
        print(form, flush=True)
        print(form, file=sys.stderr, flush=True)


secrets = [os.environ[name] for name in ("PASSWORD", "PRIVATE_KEY", "PROVIDED_TOKEN", "RUNBOOK_API_TOKEN")]
for secret in secrets:
    tell(secret)
    pathlib.Path(url.quote(secret, safe="")).write_text(secret)
    pathlib.Path("kept", url.quote(secret, safe="")).write_text("kept")
print(os.listdir(), os.listdir("kept"), os.environ, flush=True)
print("begun", flush=True)
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.05)
for secret in secrets:
    tell(secret)
print('{"password": "' + secrets[0])
raise KeyError(secrets[0])
"""

ROOTS_PASSWORD = "of the staff 1"


@dataclass
class Scene:
    """The server, its runs, and what has been heard of them, by the name of who has heard it."""

    site: Site
    server: Process
    folder: Path
    password: str = field(default_factory=lambda: f'Vw9!"q\\Zk é7&x/ {secrets.token_urlsafe(12)}')
    wrong: str = field(default_factory=lambda: f"0-{secrets.token_urlsafe(12)}")
    provided: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    key: str = field(default_factory=lambda: "\n".join(secrets.token_hex(20) for _ in range(3)))
    heard: dict[str, bytes] = field(default_factory=dict)

    @property
    def go(self) -> Path:
        return self.folder / "go"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All of them; of the scripts' tokens the signatures, for the rest is what everybody may know."""
        signatures = [file.read_text().rpartition(".")[2] for file in self.folder.glob("token*")]
        return (self.password, self.wrong, self.provided, *self.key.splitlines(), *signatures)

    def values(self, run: str) -> dict[str, str]:
        files = {"GO": str(self.go), "TOLD": str(self.folder / f"token of {run}")}
        return {"PASSWORD": self.password, "PRIVATE_KEY": self.key, **files}

    def row(self, run: int, columns: str) -> tuple:
        with contextlib.closing(sqlite3.connect(self.site.data / "db.sqlite3")) as database:
            query = f"SELECT {columns} FROM runbooks_run WHERE id = ?"  # noqa: S608
            return database.execute(query, (run,)).fetchone()

    def hear(self, reader: str, said: bytes) -> None:
        """Remember what a reader was told."""
        self.heard[reader] = said

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """All that the server keeps: each file with its path and what is in it."""
        for folder in (self.site.data, self.site.runbooks):
            for file in sorted(folder.rglob("*")):
                with contextlib.suppress(OSError):
                    if file.is_file():
                        yield file, os.fsencode(file.relative_to(folder)) + b"\n" + file.read_bytes()


class Api(httpx.Client):
    """A program with a token."""

    def __init__(self, server: Process):
        super().__init__(base_url=f"http://127.0.0.1:{server.port}", timeout=40)
        server.clients.callback(self.close)
        token = self.post("/dev-login", json={"subject": "ann", "roles": ["sre"]}).json()["access_token"]
        self.headers["Authorization"] = f"Bearer {token}"

    def execute(self, values: dict[str, str], **headers: str) -> httpx.Response:
        return self.post("/api/runbooks/worst.md/execute", json={"env_vars": values}, headers=headers)

    def socket(self, run: int) -> bytes:
        address = f"ws://127.0.0.1:{self.base_url.port}/api/runs/{run}/socket"
        with connect(address, additional_headers={"Authorization": self.headers["Authorization"]}) as socket:
            return "\n".join(socket).encode()


def prepare(scene: Scene, database: Path) -> None:
    """Give it the runbook, a database, and somebody who may see the admin's pages."""
    scene.site.data.mkdir()
    scene.site.runbooks.mkdir()
    shutil.copy(database, scene.site.data)
    (scene.site.runbooks / "worst.md").write_text(worst_runbook())
    command = [sys.executable, "manage.py", "createsuperuser", "--noinput", "--username", "root", "--email", "r@x.io"]
    known = {"DATA_DIR": str(scene.site.data), "DJANGO_SUPERUSER_PASSWORD": ROOTS_PASSWORD}
    subprocess.run(command, cwd=ROOT, env=os.environ | known, check=True, capture_output=True)


def worst_runbook() -> str:
    return runbook_source(
        name="worst",
        requirements=REQUIREMENTS,
        claims={"roles": ["sre"]},
        files="Output:\n  - kept\n",
        script=WORST,
        language="python",
    )


def play(scene: Scene) -> None:
    """Run the script for a person and for a program, and hear all that is said while it runs and afterwards."""
    person, api = Person(scene.server), Api(scene.server)
    person.sign_in(roles="sre, admin")
    hear = scene.hear
    begun = [person.start("worst.md", **scene.values("1")), api.execute(scene.values("2"), Prefer="respond-async")]
    assert [answer.status_code for answer in begun] == [302, 202], begun[0].text
    until(lambda: all("begun\n" in scene.site.printed(run) for run in (1, 2)))
    hear("page of a live run", person.get("/runs/1/").content)
    hear("command lines", b"\n".join(read_of_processes("cmdline")))
    hear("environments", environments(scene))
    hear("answer to a key that is used again", used_again(api, scene))
    with api.stream("GET", "/api/runs/2/events") as events, person.stream("GET", "/runs/1/events/") as fragments:
        scene.go.touch()
        hear("events of a live run", events.read())
        hear("fragments of a live run", fragments.read())
    hear_the_ended(scene, person, api)
    hear_the_refused(scene, person, api)


def hear_the_ended(scene: Scene, person: Person, api: Api) -> None:
    hear = scene.hear
    hear("answer to a program that waits", api.execute(scene.values("3")).content)
    for name, address in {
        "page": "/runs/1/",
        "fragments": "/runs/1/events/",
        "download": "/runs/1/log.txt",
        "list of runs": "/runs/",
        "runbook": "/runbooks/worst.md/",
        "configuration": "/configuration/",
    }.items():
        hear(name, person.get(address).content)
    staff = Person(scene.server)
    staff.send_form("/login/", username="root", password=ROOTS_PASSWORD)
    hear("admin's list", staff.get("/admin/runbooks/run/").content)
    hear("admin's page", staff.get("/admin/runbooks/run/1/change/").content)
    for name, address in {
        "API's run": "/api/runs/1?after=0",
        "API's runs": "/api/runs",
        "API's log": "/api/runs/1/log",
        "API's runbook": "/api/runbooks/worst.md",
        "events": "/api/runs/1/events",
        "metrics": "/metrics",
        "API's configuration": "/api/config",
    }.items():
        hear(name, api.get(address).content)
    hear("lines", api.get("/api/runs/1/events", headers={"Accept": "application/x-ndjson"}).content)
    hear("socket", api.socket(1))
    hear("log", scene.site.printed(1).encode())
    hear("row", repr(scene.row(1, "*")).encode())


def hear_the_refused(scene: Scene, person: Person, api: Api) -> None:
    """The answers to requests that have secrets in them, and are wrong."""
    hear = scene.hear
    wrong = scene.values("4") | {"PIN": scene.wrong}
    hear("form that is shown again", person.start("worst.md", **wrong).content)
    hear("API's refusal", api.execute(wrong).content)
    check = api.patch("/api/runbooks/worst.md/validate", json={"env_vars": wrong})
    hear("API's validation", check.content)
    broken = json.dumps({"env_vars": wrong})[:-1].encode()
    typed = {"Content-Type": "application/json"}
    hear("broken JSON", api.post("/api/runbooks/worst.md/execute", content=broken, headers=typed).content)
    hear("other JSON", api.post("/api/runbooks/worst.md/execute", json={"env_vars": [scene.password]}).content)
    hear("forged form", person.post("/runbooks/worst.md/runs/", data=wrong).content)
    hear("page that is not there", person.start("no.md", **wrong).content)
    hear("API that is not there", api.post("/api/no", json=wrong).content)
    stranger = Person(scene.server)
    stranger.sign_in("bob", roles="")
    hear("stranger's start", stranger.start("worst.md", **wrong).content)
    hear("stranger's run", stranger.get("/runs/1/").content)


def used_again(api: Api, scene: Scene) -> bytes:
    """The answer to a key that has started another run already."""
    key = {"Idempotency-Key": "once", "Prefer": "respond-async"}
    with_another = scene.values("5") | {"PASSWORD": scene.wrong}
    answers = [api.execute(values, **key) for values in (scene.values("5"), with_another)]
    assert answers[-1].status_code in (409, 422), answers[-1].text
    return answers[-1].content


def read_of_processes(name: str) -> Iterator[bytes]:
    """This file of all processes that there are."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal():
                yield (entry / name).read_bytes()


def environments(scene: Scene) -> bytes:
    """Of the supervisors and of whatever else the server has started, but for the scripts, whose secrets they are."""
    found = {scene.server.process.pid, *supervisors_in(scene.site.data)}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, StopIteration):
            lines = (entry / "status").read_text().splitlines()
            if int(next(line for line in lines if line.startswith("PPid:")).split()[1]) in found:
                found.add(int(entry.name))
    read = b""
    for pid in found:
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            read += b"" if b"RUNBOOK_RUN_ID=" in environment else b"%d\n" % pid + environment
    # The server has from its own what it provides to scripts.
    return read.replace(f"PROVIDED_TOKEN={scene.provided}".encode(), b"") or b"(not readable)"
