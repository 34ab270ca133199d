import pytest

from .examples import a_runbook, only_problem, parsed, section

ENVIRONMENT_LINE = 6
FILES_LINE = 11
EXTRA_LINE = 16


@pytest.mark.parametrize(
    ("environment", "line", "message"),
    [
        ("A: b\nC: d: e", 7, "mapping values are not allowed here; put a text that contains a colon in quotes"),
        ("A: 'b", 6, "found unexpected end of stream"),
        ("A: b\n\tC: d", 7, "indent with spaces"),
        ("A: \x07", 6, "0x7"),
        ('A: "\\UFFFFFFFF"', 6, "out of range"),
        ('A: "\\0"', 6, "cannot be used"),
        ('A: "\\ud800"', 6, "cannot be used"),
        ("A: &a b\nC: *a", 7, "aliases"),
        ("A: " + "[" * 5000, 6, "too deep"),
        ("A: " + "x" * 70_000, 6, "16 KiB"),
        ("- A\n- B", 6, "expected one `NAME: description` a line"),
        ("A", 6, "expected one `NAME: description` a line"),
        ("A: b\nA: c", 7, "A is there twice"),
        ("A: b\nA-B: c", 7, "'A-B' is no name for a variable"),
        ("PATH: b", 6, "'PATH' is refused"),
        ("A: [b]", 6, "expected a description, or a mapping"),
        ("A:\n  kind: text", 7, "'kind' is not known here"),
        ("A:\n  type: colour", 7, "'colour' is no type"),
        ("A:\n  type: choice", 7, "needs a list of choices"),
        ("A:\n  type: multichoice", 7, "needs a list of choices"),
        ("A:\n  type: multichoice\n  choices: ['b', '']", 8, "each choice is one line, and not empty"),
        ('A:\n  type: multichoice\n  choices: ["b\\nc"]', 8, "each choice is one line, and not empty"),
        ("A:\n  type: multichoice\n  choices: [b, c]\n  default: [b, d]", 9, "choose among: b, c"),
        ("A:\n  type: choice\n  choices: [b, c]\n  default: [b]", 9, "expected a text here"),
        ("A:\n  type: date\n  default: 2026-02-30", 8, "the default does not fit: this must be a day"),
        ("A:\n  type: file\n  default: b.txt", 8, "a file has no default"),
        ("A:\n  type: file\n  pattern: b", 8, "a file has no pattern"),
        ("A:\n  type: file\n  secret: true", 8, "a file is no secret"),
        ("A_KEY:\n  type: file", 7, "A_KEY is the name of a secret, and a file is none"),
        ("A:\n  choices: b", 7, "a list of choices"),
        ("A:\n  pattern: '('", 7, "no regular expression"),
        ("A:\n  pattern: " + "x" * 501, 7, "longer than 500"),
        ("A:\n  pattern: '((a{999}){999}){999}'", 7, "multiply to too many"),
        ("A:\n  pattern: '(?x)(a) {999}'", 7, "the flag x"),
        (
            "A:\n  default: " + "a" * 5000 + "_\n  pattern: '(a+)+$'",
            8,
            "the pattern takes too long to check; simplify it.",
        ),
        ("A:\n  required: perhaps", 7, "expected true or false"),
        ("A:\n  choices: [b, c]\n  default: d", 8, "the default does not fit: choose one of: b, c"),
        ("A:\n  pattern: '[0-9]+'\n  default: d", 8, "the default does not fit"),
        ("A:\n  type: number\n  default: d", 8, "the default does not fit"),
        ("A:\n  description: [b]", 7, "expected a text here"),
    ],
)
def test_what_is_wrong_with_the_environment_is_said_with_its_line(environment, line, message):
    problems = parsed(a_runbook(environment=environment)).errors
    assert message in problems[0].message
    assert (problems[0].section, problems[0].line) == ("Environment Requirements", line)


@pytest.mark.parametrize(
    ("files", "line", "message"),
    [
        ("Input: a.txt", 11, "expected a list of files"),
        ("Inputs:\n- a.txt", 11, "'Inputs' is not known here"),
        ("Input:\n- a: b", 12, "expected a text"),
        ("Input:\n- a\n- ../b", 13, "must not contain .."),
        ("Input:\n- /etc/passwd", 12, "must be a path relative"),
        ("Input:\n- .", 12, "must name a file"),
        ('Input:\n- "a\\rb"', 12, "cannot be seen"),
        ("Output:\n- " + "é" * 128, 12, "is too long"),
        ("Output:\n- " + "a/" * 500 + "b", 12, "is too long"),
        ("Input:" + "\n- a" * 501, 512, "more than 500"),
        ("Output:\n- a/../../b", 12, "must not contain .."),
    ],
)
def test_what_is_wrong_with_the_files_is_said_with_its_line(files, line, message):
    problems = parsed(a_runbook(files=files)).errors
    assert message in problems[0].message
    assert (problems[0].section, problems[0].line) == ("File System Requirements", line)


@pytest.mark.parametrize("block", ["roles", "- sre", "roles:", "roles: []", "roles: sre,", "roles: {a: b}", "{}"])
def test_claims_of_the_wrong_shape_are_an_error(block):
    problems = parsed(a_runbook(extra=section("Required Claims", block))).errors
    assert problems[0].section == "Required Claims"
    assert problems[0].line == EXTRA_LINE


def test_claims_without_a_block_are_an_error():
    problem = only_problem(a_runbook(extra="# Required Claims\nroles: sre\n\n"))
    assert (problem.section, problem.severity) == ("Required Claims", "error")
    assert "write a ```yaml block" in problem.message


@pytest.mark.parametrize(
    "block", ["runner: x", "timeout: soon", "timeout: 0", "timeout: -1", "confirm: 2", "timeout: " + "9" * 5000]
)
def test_settings_that_cannot_be_meant_are_an_error(block):
    problem = only_problem(a_runbook(extra=section("Settings", block)))
    assert (problem.section, problem.line, problem.severity) == ("Settings", EXTRA_LINE, "error")


@pytest.mark.parametrize(("seconds", "timeout"), [(2_592_000, 2_592_000), (2_592_001, None)])
def test_a_timeout_is_at_most_thirty_days(seconds, timeout):
    runbook = parsed(a_runbook(extra=section("Settings", f"timeout: {seconds}")))
    assert runbook.settings.timeout == timeout
    assert [problem.line for problem in runbook.errors] == ([] if timeout else [EXTRA_LINE])
    assert all("in seconds, and at most 2592000" in problem.message for problem in runbook.errors)


def test_a_section_has_one_yaml_block():
    problem = only_problem(a_runbook(environment="A: b\n```\n\n```yaml\nC: d"))
    assert "more than one yaml block" in problem.message
    assert problem.line == 9


def test_the_default_of_a_secret_is_a_warning():
    problem = only_problem(a_runbook(environment="API_KEY:\n  default: hunter2"))
    assert problem.severity == "warning"
    assert "hunter2" not in problem.message


def test_a_requirement_whose_pattern_is_broken_has_none():
    (requirement,) = parsed(a_runbook(environment="A:\n  pattern: '['\n  default: x")).requirements
    assert requirement.pattern == ""
