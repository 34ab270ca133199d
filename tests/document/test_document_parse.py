import pytest

from runbooks.document.parse import parse, without_history
from runbooks.document.runbook import Requirement, Settings

from .examples import a_runbook, only_problem, parsed, section


def test_a_good_runbook_has_no_problems():
    runbook = parsed(a_runbook())
    assert runbook.problems == ()
    assert runbook.name == "Check"
    assert runbook.summary == "Looks at a host."
    assert runbook.requirements == (Requirement("HOST", description="where to look"),)
    assert runbook.script.text == "#!/bin/sh\necho hello\n"
    assert runbook.script.language == "sh"


def test_the_scripts_line_is_where_it_stands_in_the_file():
    text = a_runbook()
    assert text.split("\n")[parsed(text).script.line - 1] == "#!/bin/sh"


def test_empty_yaml_blocks_ask_for_nothing():
    runbook = parsed(a_runbook(environment="", files=""))
    assert (runbook.requirements, runbook.inputs, runbook.problems) == ((), (), ())


def test_a_requirement_can_say_more_about_itself():
    environment = "LEVEL:\n  description: how loud\n  choices: [on, off, 010]\n  default: off\n  required: no"
    (level,) = parsed(a_runbook(environment=environment)).requirements
    expected = Requirement("LEVEL", "how loud", "choice", "off", choices=("on", "off", "010"), required=False)
    assert level == expected


@pytest.mark.parametrize("environment", ["DB_PASSWORD: x", "X: {secret: yes}", "X: {type: secret}", "api_token:"])
def test_a_value_is_secret_by_its_name_or_because_it_says_so(environment):
    (requirement,) = parsed(a_runbook(environment=environment)).requirements
    assert requirement.secret
    assert requirement.type == "text"


def test_files_are_listed():
    runbook = parsed(a_runbook(files="Input:\n- hosts.txt\n- lib/tools\nOutput:\n- report.csv"))
    assert runbook.inputs == ("hosts.txt", "lib/tools")
    assert runbook.outputs == ("report.csv",)


def test_claims_are_a_line_or_a_list():
    runbook = parsed(a_runbook(extra=section("Required Claims", "roles: sre, admin\nteam:\n- db\n- web")))
    assert runbook.claims == {"roles": ("sre", "admin"), "team": ("db", "web")}
    assert runbook.problems == ()


def test_settings_are_read():
    runbook = parsed(a_runbook(extra=section("Settings", "timeout: 90\nconcurrency: 1\nconfirm: yes")))
    assert runbook.settings == Settings(timeout=90, concurrency=1, confirm=True)


def test_a_hash_in_a_fence_is_no_heading():
    fences = "   ~~~~md\n# Script\n```\n# History\n~~~\n~~~~~\n"
    runbook = parsed(a_runbook(extra=fences, script="# History\n## not a heading"))
    assert runbook.problems == ()
    assert runbook.script.text == "# History\n## not a heading\n"


def test_backticks_around_words_in_a_line_are_no_fence():
    assert parsed(a_runbook(extra="```code``` in a sentence\n\n")).problems == ()


def test_an_indented_fence_gives_an_unindented_script():
    text = a_runbook().replace("```sh\n#!/bin/sh\necho hello\n```", "  ```sh\n  #!/bin/sh\n    echo hello\n  ```")
    assert parsed(text).script.text == "#!/bin/sh\n  echo hello\n"


def test_line_ends_and_a_byte_order_mark_make_no_difference():
    text = a_runbook(extra=section("Required Claims", "roles: sre"), history="# History\n\nold\n")
    assert parsed(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == parsed(text)


def test_the_history_is_apart_from_the_documentation():
    runbook = parsed(a_runbook(history="# History\n\n## a run\n"))
    assert runbook.history == "## a run"
    assert "History" not in runbook.documentation
    assert "# Script" in runbook.documentation


def test_without_history_is_the_same_runbook():
    source = a_runbook(history="# History\n\n## a run\n").replace("\n", "\r\n").encode()
    text = without_history(source)
    assert text == a_runbook(history="")
    assert parse(text.encode(), name="Check").script == parse(source, name="Check").script


def test_sections_may_come_in_any_order():
    text = "# Settings\n```yaml\ntimeout: 5\n```\n" + a_runbook()
    assert parsed(text).settings.timeout == 5
    assert parsed(text).problems == ()


def test_a_summary_is_plain_text_in_one_line():
    text = a_runbook().replace("Looks at a host.", "Looks **at**\na [host](x) `now`.\n\nMore.")
    assert parsed(text).summary == "Looks at a host now."


@pytest.mark.parametrize("title", ["Environment Requirements", "File System Requirements", "Script"])
def test_a_required_section_is_missing(title):
    problem = only_problem(a_runbook().replace(f"# {title}", "# Notes"))
    assert (problem.section, problem.severity) == (title, "error")
    assert str(problem) == f"line 1, {title}: the section is missing; add `# {title}`."


def test_a_missing_history_is_no_problem_for_the_first_run_adds_it():
    assert parse(a_runbook(history="").encode(), name="Check").problems == ()


def test_history_must_be_last():
    problem = only_problem(a_runbook() + "# Notes\n")
    assert "last section" in problem.message
    assert problem.line == a_runbook().count("\n")


def test_an_empty_file_says_all_that_it_lacks():
    sections = {problem.section for problem in parsed("").errors}
    assert sections == {"File", "Environment Requirements", "File System Requirements", "Script"}


def test_another_heading_than_the_files_name_is_a_warning():
    problem = only_problem(a_runbook(name="Chekc"))
    assert (problem.line, problem.severity) == (1, "warning")
    assert "'Chekc' differs from the file's name, 'Check'" in problem.message


def test_bytes_that_are_not_utf8_are_named_with_their_line():
    problem = only_problem(a_runbook().encode().replace(b"Looks", b"L\xffks"))
    assert str(problem) == "line 2, File: the byte 0xff is not valid UTF-8."
    assert problem.severity == "error"


def test_a_nul_byte_is_a_problem_and_not_kept():
    source = a_runbook().replace("Looks", "L\0ks")
    assert "NUL" in only_problem(source).message
    assert "\0" not in without_history(source.encode())


def test_a_duplicate_section_is_a_problem():
    problem = only_problem(a_runbook(extra=section("Environment Requirements", "")))
    assert "twice" in problem.message
    assert problem.line == 14


def test_an_unclosed_fence_is_named_by_its_first_line():
    problems = parsed(a_runbook().replace("hello\n```", "hello")).errors
    assert [str(problem) for problem in problems] == ["line 15, File: this code fence is never closed."]


def test_an_unclosed_fence_in_the_history_forbids_no_run():
    problem = only_problem(a_runbook(history="# History\n```\nold"))
    assert (problem.section, problem.severity) == ("History", "warning")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("", "there is no code block"),
        ("```sh\n \n```\n", "the script is empty"),
        ("```sh\na\n```\n```sh\nb\n```\n", "more than one code block"),
    ],
)
def test_a_script_is_one_code_block(block, message):
    problem = only_problem(a_runbook().replace("```sh\n#!/bin/sh\necho hello\n```\n", block))
    assert problem.section == "Script"
    assert message in problem.message


@pytest.mark.parametrize("mark", ["# x\n", "```\n```\n", "## y\n"])
def test_too_many_headings_are_one_problem_and_open_nothing(mark):
    text = a_runbook(extra=section("Required Claims", "roles: sre")) + mark * 30_001
    problem = only_problem(text)
    assert (problem.section, problem.severity) == ("File", "error")
    assert "more than 30000 headings and code fences" in problem.message
    assert parsed(text).documentation == without_history(text.encode()) == ""


def test_of_very_many_problems_the_first_are_kept_and_errors_before_warnings():
    runbook = parsed(a_runbook(extra="#Settings\n" * 500 + "#Required Claims\n\n"))
    assert "the first 100 problems of 501" in runbook.errors[0].message
    assert [problem.section for problem in runbook.errors] == ["File", "Required Claims"]
    assert len(runbook.problems) == 101


@pytest.mark.parametrize(
    "written", ["Required Claims\n===", "#Required Claims", "## required  claims", "# Required Claim"]
)
def test_what_only_looks_like_required_claims_is_an_error_and_never_ignored(written):
    (problem,) = parsed(a_runbook(extra=f"{written}\n\n")).errors
    assert problem.section == "Required Claims"
    assert problem.line == 14
