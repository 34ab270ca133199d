import os
import shutil
import time
from pathlib import Path, PurePosixPath

import pytest

from runbooks.document import validate as it
from runbooks.document.runbook import Script
from runbooks.document.validate import BadInput, NoInterpreter, input_files, interpreter, validate

from .examples import a_runbook, parsed


@pytest.fixture
def root(tmp_path):
    """A runbooks' folder with a file, a folder, and a secret outside of it."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "runbooks"
    (folder / "lib" / "deep").mkdir(parents=True)
    for name in ("hosts.txt", "lib/a.sh", "lib/deep/b.sh"):
        (folder / name).write_text(name)
    return folder


def with_inputs(*paths: str):
    return parsed(a_runbook(files="Input:\n" + "\n".join(f"- {path}" for path in paths)))


def argv(text: str, *, language: str = "") -> list[str]:
    return interpreter(Script(text, language, 1))


def test_a_good_runbook_may_run(root):
    assert validate(with_inputs("hosts.txt", "lib"), folder=root, root=root) == ()


def test_problems_of_the_file_and_of_this_machine_come_in_one_list(root):
    runbook = parsed(a_runbook(environment="PATH: x", files="Input:\n- hosts.txt\n- gone.txt", script="#!/bin/nosh\n:"))
    assert [str(problem) for problem in validate(runbook, folder=root, root=root)] == [
        "line 6, Environment Requirements: 'PATH' is refused:"
        " it could make an interpreter run something else before the script.",
        "line 13, File System Requirements: gone.txt does not exist beside the runbook.",
        "line 18, Script: /bin/nosh is not installed on this machine.",
    ]


def test_a_folder_brings_all_its_files_with_their_relative_paths(root):
    found = input_files(with_inputs("lib", "hosts.txt", "lib/a.sh"), folder=root, root=root)
    assert [str(target) for _, target in found] == ["lib/a.sh", "lib/deep/b.sh", "hosts.txt"]
    assert found[0] == (root.resolve() / "lib/a.sh", PurePosixPath("lib/a.sh"))


def test_a_link_within_the_runbooks_folder_is_followed(root):
    (root / "link.txt").symlink_to("hosts.txt")
    ((source, target),) = input_files(with_inputs("link.txt"), folder=root, root=root)
    assert (source.name, str(target)) == ("hosts.txt", "link.txt")


@pytest.mark.parametrize("path", ["link.txt", "lib", "lib/out/secret.txt"])
def test_a_link_that_leads_outside_is_refused(root, path):
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "lib" / "out").symlink_to(root.parent)
    with pytest.raises(BadInput, match="leads outside"):
        input_files(with_inputs(path), folder=root, root=root)


def test_a_loop_of_links_is_refused(root):
    (root / "loop").symlink_to("loop")
    with pytest.raises(BadInput, match="loop"):
        input_files(with_inputs("loop"), folder=root, root=root)


def test_a_folder_that_contains_itself_is_refused(root):
    (root / "lib" / "again").symlink_to(root / "lib")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        input_files(with_inputs("lib"), folder=root, root=root)


def test_a_named_pipe_is_refused_at_once(root):
    os.mkfifo(root / "lib" / "pipe")
    with pytest.raises(BadInput, match="pipe, which is neither"):
        input_files(with_inputs("lib"), folder=root, root=root)


def test_an_input_is_beside_its_runbook_in_a_folder_of_the_root(root):
    ((source, _),) = input_files(with_inputs("a.sh"), folder=root / "lib", root=root)
    assert source == (root / "lib" / "a.sh").resolve()


def test_a_folder_of_too_many_files_is_a_problem(root, monkeypatch):
    monkeypatch.setattr(it, "MOST_FILES", 1)
    for name in ("a", "b"):
        (root / "many").mkdir(exist_ok=True)
        (root / "many" / name).touch()
    (problem,) = it.validate(with_inputs("many"), folder=root, root=root)
    assert "many brings more than" in problem.message


def test_very_many_missing_files_are_found_at_once(root):
    text = a_runbook(files="Input:" + "\n- q" * 500, extra="x\n" * 400_000)
    started = time.process_time()
    assert len(it.validate(parsed(text), folder=root, root=root)) == 500
    assert time.process_time() - started < 2


def test_a_shebang_is_read_as_the_kernel_does():
    assert argv("#! /bin/sh  -e -u \n") == ["/bin/sh", "-e -u"]
    assert argv("#!/bin/sh\n", language="python") == ["/bin/sh"]
    assert argv("#!/usr/bin/env python3\n") == ["/usr/bin/env", "python3"]
    assert argv("#!/usr/bin/env -S python3 -u\n") == ["/usr/bin/env", "-S python3 -u"]


def test_without_a_shebang_the_language_chooses():
    assert argv("true\n", language="sh") == [shutil.which("sh")]
    assert Path(argv("pass\n", language="python")[0]).name == "python3"


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        ("#!/bin/nosh\n", "sh", "/bin/nosh is not installed"),
        ("#!nosh\n", "sh", "absolute path"),
        ("#!\n", "sh", "absolute path"),
        ("#!/etc/passwd\n", "sh", "/etc/passwd is not installed"),
        ("#!/bin\n", "sh", "/bin is not installed"),
        ("#!/usr/bin/env nosh\n", "sh", "nosh is not installed"),
        ("#!/usr/bin/env python3 -u\n", "sh", "env -S"),
        ("#!/usr/bin/env -S A=b nosh -u\n", "sh", "nosh is not installed"),
        ("#!/bin/" + "x" * 300, "sh", "longer than 255"),
        ("true\n", "cobol", "'cobol'"),
        ("true\n", "", "name a language"),
    ],
)
def test_an_interpreter_that_is_not_there_is_named(text, language, message):
    with pytest.raises(NoInterpreter, match=message):
        argv(text, language=language)


def test_a_language_whose_interpreter_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoInterpreter, match="zsh is not installed"):
        argv("true\n", language="zsh")
