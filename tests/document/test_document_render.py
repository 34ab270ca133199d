import pytest

from runbooks.document import render as it
from runbooks.document.render import plain, render


def test_headings_are_one_lower_and_their_ids_prefixed():
    html = render("# Top\n## Top\n###### Deep & `down`", ids="page")
    assert '<h2 id="page-top">Top</h2>' in html
    assert '<h3 id="page-top-2">Top</h3>' in html
    assert '<h6 id="page-deep-down">' in html


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[a](javascript:alert(1))",
        "```<script>\n<script>\n```",
        '```"onload="x\n</code><script>\n```',
        "# <b onclick=x>\n",
        "![<script>](javascript:x)",
    ],
)
def test_an_authors_html_and_scripts_stay_text(markdown):
    html = render(markdown)
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "<b " not in html
    assert 'href="javascript' not in html
    assert '"onload' not in html


def test_links_tell_nothing_to_where_they_lead():
    assert render("[a](https://example.org)") == (
        '<p><a href="https://example.org" rel="noopener noreferrer">a</a></p>\n'
    )


def test_links_within_the_document_lead_to_the_prefixed_ids():
    html = render("# Top\n[up](#top)", ids="doc")
    assert 'id="doc-top"' in html
    assert 'href="#doc-top"' in html


def test_headings_may_link_to_themselves():
    html = render('# A "b" & `<c>`', has_links=True)
    assert 'href="#doc-a-b-c" aria-label="Link to A &quot;b&quot; &amp; &lt;c&gt;">#</a></h2>' in html


def test_html_of_ours_stands_below_the_heading_in_its_line():
    html = render("# One\n\na\n\n## Two\n\nb", below={5: "<p>ours</p>"})
    assert html.index("Two</h3>") < html.index("<p>ours</p>") < html.index("<p>b</p>")
    assert html.count("ours") == 1


def test_wrong_lines_of_code_are_marked_by_the_number_they_have_in_the_text():
    html = render("a\n\n```yaml\nA: 1\nB: [\nC: 3\n```", wrong={5: "warning"})
    marked = html.partition('<span class="wrong">')[2].split("\n")[0]
    assert "B" in marked
    assert html.count("wrong") == 1


def test_code_is_highlighted_by_classes_alone():
    html = render('```sh\necho "<$HOME>"\n```')
    assert '<pre class="highlight"><code class="language-sh"><span class="nb">echo</span>' in html
    assert "&lt;" in html
    assert "style=" not in html


def test_code_in_an_unknown_language_is_shown_as_it_is():
    assert '<code class="language-klingon">a &lt; b\n</code>' in render("```klingon\na < b\n```")


def test_tables_are_aligned_without_inline_styles():
    html = render("|a|\n|-:|\n|1|")
    assert '<td class="align-right">1</td>' in html
    assert "style=" not in html


def test_a_huge_document_is_shown_as_text():
    assert render("<" * 200_001).startswith("<pre>&lt;")


def test_code_is_highlighted_up_to_a_length_in_all():
    html = render(("```sh\n" + "echo a\n" * 900 + "```\n") * 2)
    first, second = html.split("</pre>")[:2]
    assert first.count('class="nb"') == 900
    assert "<span" not in second
    assert second.count("echo a") == 900


def test_a_document_that_takes_too_long_is_shown_as_text(monkeypatch):
    monkeypatch.setattr(it, "PARSE_SECONDS", 0)
    assert it.render("# <a>") == "<pre># &lt;a&gt;</pre>"
    assert it.plain("a") == ""


def test_plain_is_the_first_paragraph_without_markup():
    assert plain("- item\n\nA **b** [c](d)\n`e`\n\nf") == "A b c e"
    assert plain("```\ncode\n```") == ""
