"""What is kept of a working folder: files and folders, of the server's user alone, and never what a link leads to."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks.execution import tree
from runbooks.execution.outputs import keep_outputs
from runbooks.models import Run, State

PASSWORD = {"PASSWORD": "What nobody may see"}
OUTPUTS = "Output:\n- out\n- report.txt\n"
SHM = Path("/dev/shm")


def kept(run: Run) -> dict[str, str]:
    """The files that were kept, and what is in them."""
    outputs = run.folder / "outputs"
    return {str(file.relative_to(outputs)): file.read_text() for file in outputs.glob("**/*") if file.is_file()}


@pytest.fixture
def another_disk(settings) -> Iterator[Path]:
    """Has the working folders on another disk than the logs."""
    if not SHM.is_dir() or SHM.stat().st_dev == settings.DATA_DIR.parent.stat().st_dev:
        pytest.skip("there is no other disk to write to")
    settings.EXECUTION_DIR = Path(tempfile.mkdtemp(dir=SHM))
    yield settings.EXECUTION_DIR
    shutil.rmtree(settings.EXECUTION_DIR)


def test_outputs_are_kept_and_the_working_folder_goes(a_run, finish):
    run = finish(a_run("mkdir -p out/deep; echo 1 > out/deep/a; echo 2 > report.txt; echo 3 > other", files=OUTPUTS))
    assert kept(run) == {"out/deep/a": "1\n", "report.txt": "2\n"}
    assert not run.work.exists()
    assert run.warnings == []


def test_an_output_may_lie_in_a_folder(a_run, finish):
    run = finish(a_run("mkdir -p a/b; echo 1 > a/b/c; echo 2 > a/b/d", files="Output: [a/b/c]"))
    assert (kept(run), run.warnings) == ({"a/b/c": "1\n"}, [])


def test_a_missing_output_is_a_warning(a_run, finish):
    run = finish(a_run("mkdir out", files=OUTPUTS))
    assert (run.state, run.warnings) == (State.SUCCEEDED, ["Output report.txt was not there at the end."])


SECRET_NAMES = {
    "opensesame": ["***"],
    "a.opensesame.tar.gz": ["a.***.tar.gz"],
    "opensesame/opensesame.txt": ["***/***.txt"],
    "opensesame '***' '***2'": ["***", "***2", "***3"],
    "b3BlbnNlc2FtZQ==": ["***=="],
    "sesame": ["sesame"],
}


@pytest.mark.parametrize(("made", "names"), SECRET_NAMES.items())
def test_no_secret_is_in_the_name_of_what_is_kept(a_run, finish, made, names):
    script = f'mkdir out; cd out; for file in {made}; do mkdir -p "$(dirname "$file")"; echo 1 >"$file"; done'
    run = a_run(script, files="Output: [out]", requirements=PASSWORD, values={"PASSWORD": "opensesame"})
    run = finish(run)
    assert kept(run) == {f"out/{name}": "1\n" for name in names}
    count = made.count("opensesame") + made.count("b3B")
    changed = [f"Secrets in the names of kept files were replaced by *** ({count})."] if names != ["sesame"] else []
    assert (run.state, run.warnings) == (State.SUCCEEDED, changed)


def test_nor_in_the_names_of_links_to_elsewhere_and_what_these_lead_to_stays(a_run, finish, tmp_path):
    (tmp_path / "opensesame").touch()
    script = f"mkdir out; ln -s {tmp_path} out/link; ln -s /etc out/opensesame"
    run = finish(a_run(script, files="Output: [out]", requirements=PASSWORD, values={"PASSWORD": "opensesame"}))
    assert (kept(run), len(run.warnings)) == ({}, 2)
    assert (tmp_path / "opensesame").exists()


def test_an_output_that_the_runbook_names_keeps_its_name_also_if_a_secret_is_in_it(a_run, finish):
    script = "mkdir -m 0 deep; chmod 700 deep; echo 1 >deep/report.txt; chmod 0 deep"
    run = a_run(script, files="Output: [deep/report.txt]", requirements=PASSWORD, values={"PASSWORD": "report"})
    run = finish(run)
    assert (kept(run), run.warnings) == ({"deep/report.txt": "1\n"}, [])


def test_a_name_that_would_get_too_long_is_hidden_whole(a_run, finish):
    script = f"mkdir out; touch out/{'x' * 250} out/{'x' * 249}"
    run = finish(a_run(script, files="Output: [out]", requirements=PASSWORD, values={"PASSWORD": "x"}))
    assert sorted(kept(run)) == ["out/***", "out/***2"]


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", "../..", "report.txt", "out"])
def test_an_output_that_is_a_link_is_not_kept(a_run, finish, target):
    run = finish(a_run(f"ln -s {target} report.txt; mkdir out", files=OUTPUTS))
    warning = "Output report.txt was not kept: it is a link, and could lead anywhere."
    assert (run.state, run.warnings) == (State.SUCCEEDED, [warning])
    assert [path.name for path in (run.folder / "outputs").iterdir()] == ["out"]


def test_nor_is_one_that_lies_behind_a_link(a_run, finish):
    run = finish(a_run("ln -s /etc out", files="Output: [out/passwd]"))
    (warning,) = run.warnings
    assert warning.startswith("Output out/passwd was not there at the end: a part of its path is no folder")
    assert kept(run) == {}


def test_nor_is_what_holds_no_bytes(a_run, finish):
    run = finish(a_run("mkfifo report.txt; mkdir out", files=OUTPUTS))
    assert run.warnings == ["Output report.txt was not kept: it is neither a file nor a folder."]
    assert not run.work.exists()


def test_links_and_pipes_in_a_folder_are_left_out_of_it(a_run, finish):
    script = "mkdir -p out/deep; cd out; ln -s /etc/passwd a; ln -s /etc deep/b; mkfifo deep/c; echo 1 > deep/d"
    run = finish(a_run(script, files="Output: [out]"))
    assert run.warnings == ["Output out was kept without the links and the like in it (3)."]
    assert sorted(path.name for path in (run.folder / "outputs").rglob("*")) == ["d", "deep", "out"]


def test_what_is_kept_is_closed_to_others(a_run, finish):
    script = (
        "umask 0; mkdir -p out/deep; echo 1 > out/deep/a; echo 2 > report.txt; chmod 4777 out out/deep/a; chmod 0 *.txt"
    )
    run = finish(a_run(script, files=OUTPUTS))
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in (run.folder / "outputs").rglob("*")}
    assert modes == {"out": "0o700", "deep": "0o700", "a": "0o700", "report.txt": "0o600"}
    assert kept(run) == {"out/deep/a": "1\n", "report.txt": "2\n"}


def test_what_a_script_has_made_as_somebody_else_is_kept_as_it_is(a_run, begin, monkeypatch):
    run = a_run("mkdir out; touch out/a; chmod 640 out/a", files="Output: [out]")
    begin(run).wait()
    (run.work / "out").chmod(0o750)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # a server to which that was somebody else
    assert keep_outputs(run) == []
    modes = [oct((run.folder / "outputs" / path).stat().st_mode & 0o7777) for path in ("out", "out/a")]
    assert modes == ["0o750", "0o640"]


def test_folders_that_a_script_has_closed_are_kept_and_removed(a_run, finish):
    script = (
        "mkdir -p out/deep other/deep; echo 1 > out/deep/a; touch other/deep/a; chmod 0 out/deep out other/deep other ."
    )
    run = finish(a_run(script, files="Output: [out]"))
    assert (kept(run), run.warnings) == ({"out/deep/a": "1\n"}, [])
    assert not run.work.exists()


def test_outputs_are_kept_from_another_disk_too(another_disk, a_run, finish):
    run = finish(
        a_run("mkdir -p out/deep; echo 1 > out/deep/a; touch -d @77 out/deep/a; echo 2 > report.txt", files=OUTPUTS)
    )
    assert (kept(run), run.warnings) == ({"out/deep/a": "1\n", "report.txt": "2\n"}, [])
    assert sorted(file.name for file in (run.folder / "outputs").iterdir()) == ["out", "report.txt"]
    assert (run.folder / "outputs/out/deep/a").stat().st_mtime == 77
    assert list(another_disk.iterdir()) == []


def test_a_hole_takes_no_place_on_the_other_disk_either(another_disk, a_run, finish):
    run = finish(a_run("echo 1 > report.txt; truncate -s 1T report.txt; mkdir out", files=OUTPUTS))
    info = (run.folder / "outputs/report.txt").stat()
    assert (info.st_size, run.warnings) == (2**40, [])
    assert info.st_blocks * 512 < 1_000_000


def test_half_a_copy_does_not_stay(another_disk, a_run, finish, monkeypatch):
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    run = finish(a_run("mkdir out; echo 1 > out/a; echo 2 > report.txt", files=OUTPUTS))
    assert run.warnings == [
        f"Output {name} could not be kept: No space left on device." for name in ("out", "report.txt")
    ]
    assert list((run.folder / "outputs").iterdir()) == []


def test_folders_are_removed_though_they_are_deeper_than_a_path_or_the_stack(a_run, finish):
    script = "import os\nfor _ in range(1100):\n    os.mkdir('deep')\n    os.chdir('deep')\nopen('a', 'w')"
    run = finish(a_run(script, language="python", files="Output: [deep]"))
    assert run.warnings == ["Output deep was not kept: it has folders within folders, more than 100 deep."]
    assert not run.work.exists()


def test_what_lies_in_the_way_of_removal_is_not_followed(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "precious").touch()
    (folder / "deep" / "link").symlink_to(outside)
    (folder / "link").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        tree.remove(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["outside", "precious"]


def test_what_somebody_has_mounted_in_it_is_not_emptied(tmp_path):
    mounted = tmp_path / "folder/mounted"
    mounted.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", mounted], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    try:
        (mounted / "precious").touch()
        tree.remove(tmp_path / "folder")
        assert (mounted / "precious").exists()
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=True)


def test_a_link_in_the_place_of_a_folder_goes_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    tree.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
