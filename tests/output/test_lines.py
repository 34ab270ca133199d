r"""Lines that are passed over: they leave behind what they would have left had they been shown."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbooks.output.html import MAX_LINE
from runbooks.output.lines import Lines
from tests.output.conftest import line

PRINTED = [
    "plain",
    "",
    "\r",
    "50%\r",
    "\r60%",
    "\x1b[31m",
    "\x1b[0m",
    "\x1b[m",
    "\x1b[1;42m",
    "\x1b[0;3",
    "4m",
    "\x1b]0;",
]
ENTRIES = st.builds(
    lambda pieces, stream, tag: line("".join(pieces), stream=stream, tag=tag),
    st.lists(st.sampled_from(PRINTED), max_size=3),
    st.sampled_from(["stdout", "stderr"]),
    st.sampled_from("FP"),
)
LONG = line("\x1b[32m" + "x" * MAX_LINE + "\x1b[0m")
FOREIGN = st.sampled_from([b"not of ours\n", b"\x1b[35mneither\n", LONG])


def stand(lines: Lines) -> tuple[object, ...]:
    """All that what follows these lines depends on."""
    styles = {stream: style.classes for stream, style in lines.styles.items()}
    return lines.count, styles, lines.unfinished()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(ENTRIES | FOREIGN, min_size=1, max_size=6), max_size=4))
@example([[line("a", tag="P")], [line("b", stream="stderr", tag="P"), line("c")], [line("d", tag="P")]])
@example([[line("\x1b[0;3", tag="P")], [line("4m")], [line("blue", tag="P")]])
@example([[line("\x1b[31m", tag="P")], [line("red"), line("still red", tag="P")]])
def test_it_makes_no_difference_whether_lines_are_shown_or_passed_over(blocks):
    shown, passed = Lines(), Lines()
    for block in map(b"".join, blocks):
        shown.render(block)
        passed.skip(block)
        passed.skip(b"")
        assert stand(passed) == stand(shown)


def test_a_colour_that_nothing_has_ended_goes_on_over_many_lines():
    lines = Lines()
    lines.skip(line("\x1b[1;31mred") + line("more") * 10_000 + line("other", stream="stderr"))
    (row,) = lines.render(line("the last")).values()
    assert re.search(r'<span class="fg1 bold">the last</span>', row)
