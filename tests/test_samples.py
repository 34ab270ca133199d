"""The sample runbooks do what they promise, and the examples in docs/writing-runbooks.md are without a problem."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbooks.document.parse import parse
from runbooks.document.runbook import Runbook
from runbooks.document.validate import InvalidValues, checked_values, input_files, interpreter, validate

PROJECT = Path(__file__).resolve().parent.parent
SAMPLES = PROJECT / "samples"
NAMES = sorted(str(file.relative_to(SAMPLES)) for file in SAMPLES.rglob("*.md"))
GUIDE = (PROJECT / "docs" / "writing-runbooks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^````markdown\n(.*?)^````$", GUIDE, flags=re.DOTALL | re.MULTILINE)
HOSTILE = "-n $(touch harm) `touch harm`; touch harm\n' \" \\ $((touch)) *"

# What each sample is given, the code that it ends with, and what it says on stdout and stderr.
ENDINGS = {
    "Hello.md": ({}, 0, "Hello, world!", ""),
    "Long-running.md": ({"CYCLES": "1"}, 0, "Cycle 1 of 1", ""),
    "Input-files.md": ({}, 0, "To Ada, owner of web-1", ""),
    "Colours-and-progress.md": ({}, 0, "\r[####################] 100 %", "This line went to stderr"),
    "Failing.md": ({}, 3, "maintenance window", "error: the maintenance window is closed"),
    "Count-log-levels.md": ({}, 0, "INFO           2", ""),
    "Form-with-every-type.md": ({"HOSTS": "web-2\nworker-1"}, 0, "Host:       web-2\nHost:       worker-1\nNotes:", ""),
    "database/Restart-replica.md": ({"REPLICA_PASSWORD": "opensesame"}, 0, "replica-1 answers", ""),
    "Disk-usage-report.md": ({"MOUNT_POINT": str(SAMPLES), "THRESHOLD": "100"}, 0, str(SAMPLES), ""),
}

Run = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., int]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path: Path, work: Path) -> Run:
    """Run a runbook's script as the runner does: its inputs in an own folder, nothing but its values around it."""

    def run(file: Path, **given: str) -> subprocess.CompletedProcess[str]:
        runbook = read(file)
        for source, relative in input_files(runbook, folder=file.parent, root=file.parent):
            copy(source, work / relative)
        script = tmp_path / "script"
        script.write_text(runbook.script.text, encoding="utf-8")
        ended = subprocess.run(
            [*interpreter(runbook.script), script],
            cwd=work,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **checked_values(runbook, given)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        # Python's text mode would turn each carriage return into a line end.
        ended.stdout, ended.stderr = ended.stdout.decode(), ended.stderr.decode()
        return ended

    return run


@pytest.fixture
def serve_tls(tmp_path: Path) -> Iterator[Serve]:
    """Start a TLS server on a free port, with a certificate that is valid for so many days."""
    servers = []

    def serve(*, days: int) -> int:
        request = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=sample.example"
        openssl(f"{request} -keyout key.pem -out request.pem", folder=tmp_path)
        openssl(f"x509 -req -in request.pem -signkey key.pem -days {days} -out certificate.pem", folder=tmp_path)
        command = "openssl s_server -www -accept 127.0.0.1:0 -key key.pem -cert certificate.pem"
        server = subprocess.Popen(command.split(), cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8")
        servers.append(server)
        accepting = next(line for line in server.stdout if line.startswith("ACCEPT"))
        return int(accepting.rpartition(":")[2])

    yield serve
    for server in servers:
        server.terminate()
        server.communicate()


def read(file: Path) -> Runbook:
    return parse(file.read_bytes(), name=file.stem)


def openssl(command: str, *, folder: Path) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_has_no_problem(name):
    file = SAMPLES / name
    runbook = read(file)
    assert validate(runbook, folder=file.parent, root=SAMPLES) == ()
    assert runbook.summary


def test_each_sample_is_run_here():
    # The second needs a server, and is run in tests/api/test_sub_runbooks.py.
    assert {*ENDINGS, "TLS-certificate-expiry.md", "Check-everything.md"} == set(NAMES)


@pytest.mark.parametrize("name", ENDINGS)
def test_a_sample_ends_as_it_promises(run, name):
    given, return_code, stdout, stderr = ENDINGS[name]
    ended = run(SAMPLES / name, **given)
    assert ended.returncode == return_code, ended.stderr
    assert stdout in ended.stdout
    assert stderr in ended.stderr
    assert bool(stderr) == bool(ended.stderr)


@pytest.mark.parametrize("name", ["Input-files.md", "Disk-usage-report.md"])
def test_a_sample_writes_its_output_files(run, work, name):
    run(SAMPLES / name, **ENDINGS[name][0])
    outputs = read(SAMPLES / name).outputs
    assert outputs
    assert all((work / output).read_text(encoding="utf-8") for output in outputs)


@pytest.mark.parametrize(
    ("name", "variable", "return_code"),
    [
        ("Hello.md", "NAME", 0),
        ("Count-log-levels.md", "LOG", 0),
        ("Disk-usage-report.md", "MOUNT_POINT", 2),
        ("database/Restart-replica.md", "REPLICA_PASSWORD", 0),
    ],
)
def test_a_hostile_value_stays_a_value(run, work, name, variable, return_code):
    assert run(SAMPLES / name, **{variable: HOSTILE}).returncode == return_code
    assert not (work / "harm").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TLS-certificate-expiry.md", {"HOST": HOSTILE}),
        ("TLS-certificate-expiry.md", {"HOST": "-help"}),
        ("Long-running.md", {"CYCLES": "1.5"}),
        ("Disk-usage-report.md", {"THRESHOLD": "101"}),
        ("Input-files.md", {"MESSAGE": "../servers"}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name, value):
    with pytest.raises(InvalidValues) as refusal:
        checked_values(read(SAMPLES / name), value)
    assert refusal.value.errors.keys() == value.keys()


def test_restarting_a_replica_never_prints_its_password(run):
    ended = run(SAMPLES / "database/Restart-replica.md", REPLICA_PASSWORD="opensesame", TICKET="OPS-7")
    assert "Ticket: OPS-7" in ended.stdout
    assert "opensesame" not in ended.stdout + ended.stderr


def test_restarting_a_replica_refuses_when_it_lags(run):
    ended = run(SAMPLES / "database/Restart-replica.md", REPLICA_PASSWORD="opensesame", MAX_LAG_SECONDS="2")
    assert ended.returncode == 4
    assert "lags too far behind" in ended.stderr


def test_a_replica_is_restarted_by_an_sre_alone():
    assert read(SAMPLES / "database/Restart-replica.md").claims == {"roles": ("sre",)}


def test_a_disk_over_the_threshold_fails(run):
    ended = run(SAMPLES / "Disk-usage-report.md", MOUNT_POINT=str(SAMPLES), THRESHOLD="0", TOP="1")
    assert ended.returncode == 1
    assert "TOO FULL" in ended.stderr


def test_a_mount_point_that_is_not_there_fails(run, tmp_path):
    ended = run(SAMPLES / "Disk-usage-report.md", MOUNT_POINT=str(tmp_path / "nowhere"))
    assert ended.returncode == 2
    assert "nowhere" in ended.stderr


def test_too_many_errors_in_a_log_fail(run):
    ended = run(SAMPLES / "Count-log-levels.md", LOG="INFO fine\nERROR broken")
    assert ended.returncode == 1
    assert "Too many errors: 1" in ended.stderr


@pytest.mark.parametrize(
    ("days", "values", "return_code", "says"),
    [(90, {}, 0, "OK"), (10, {}, 1, "EXPIRES SOON"), (10, {"WARN_DAYS": "5"}, 0, "OK")],
)
def test_a_certificate_is_judged_by_the_days_left(run, serve_tls, days, values, return_code, says):
    port = str(serve_tls(days=days))
    ended = run(SAMPLES / "TLS-certificate-expiry.md", HOST="127.0.0.1", PORT=port, **values)
    assert ended.returncode == return_code, ended.stderr
    assert re.search(rf"^{says}: ({days}|{days - 1}) days left", ended.stdout + ended.stderr, re.MULTILINE)
    assert "sample.example" in ended.stdout


def test_an_expired_certificate_fails(run, serve_tls):
    ended = run(SAMPLES / "TLS-certificate-expiry.md", HOST="127.0.0.1", PORT=str(serve_tls(days=-1)))
    assert ended.returncode == 1
    assert "EXPIRED on" in ended.stderr


def test_a_server_that_does_not_answer_has_no_certificate(run):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        ended = run(SAMPLES / "TLS-certificate-expiry.md", HOST="127.0.0.1", PORT=str(held.getsockname()[1]))
    assert ended.returncode == 2
    assert "got no certificate" in ended.stderr


def test_the_guide_has_whole_examples():
    assert len(EXAMPLES) == GUIDE.count("\n# History\n") > 0


@pytest.mark.parametrize("source", EXAMPLES, ids=lambda source: source.split()[1])
def test_an_example_in_the_guide_has_no_problem(tmp_path, source):
    runbook = parse(source.encode(), name=source.split()[1])
    for name in runbook.inputs:
        (tmp_path / name).touch()
    assert validate(runbook, folder=tmp_path, root=tmp_path) == ()


@pytest.mark.parametrize(("minimum", "return_code"), [("1", 0), ("999999999", 1)])
def test_the_first_example_in_the_guide_runs(run, tmp_path, minimum, return_code):
    file = tmp_path / "Check-memory.md"
    file.write_text(EXAMPLES[0], encoding="utf-8")
    assert run(file, MINIMUM_MB=minimum).returncode == return_code


def test_the_last_example_in_the_guide_runs(run, tmp_path, work):
    file = tmp_path / "Archive-folder.md"
    file.write_text(EXAMPLES[1], encoding="utf-8")
    (tmp_path / "exclude.txt").write_text("*.tmp\n", encoding="utf-8")
    ended = run(file, FOLDER=str(SAMPLES), ARCHIVE_PASSWORD="opensesame")
    assert ended.returncode == 0, ended.stderr
    assert "Verified" in ended.stdout
    assert (work / "archive.tar.enc").stat().st_size > 0
