"""The list of runbooks and the page of one."""

import re

import pytest
from django.utils import timezone

SRE = {"roles": ["sre", "admin"]}


def text_of(answer) -> str:
    return answer.content.decode()


def test_the_front_page_leads_to_the_runbooks(client):
    assert client.get("/").url == "/runbooks/"


def test_the_list_shows_name_folder_and_summary(alice_client, library, a_runbook):
    library.add("db/restart.md", a_runbook(about="Restarts *one* replica."))
    page = text_of(alice_client.get("/runbooks/"))
    assert '<a class="runbooks__name" href="/runbooks/db/restart.md/">restart</a>' in page
    assert "db</h2>" not in page  # one folder needs no heading
    assert "Restarts one replica." in page


def test_the_list_says_which_claim_is_missing(bob_client, library, a_runbook):
    library.add("restart.md", a_runbook(claims=SRE))
    assert "You need one of these roles: sre, admin. You have: none." in text_of(bob_client.get("/runbooks/"))


def test_the_list_shows_the_last_run_to_those_who_may_see_it(alice_client, bob_client, library, a_runbook, a_run):
    library.add("restart.md", a_runbook(claims=SRE))
    run = a_run(state="failed")
    link = f'href="/runs/{run.pk}/"'
    assert link in text_of(alice_client.get("/runbooks/"))
    assert link not in text_of(bob_client.get("/runbooks/"))


def test_the_list_counts_problems(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(language="brainfuck", files="Input:\n- missing.txt"))
    assert "2 problems" in text_of(alice_client.get("/runbooks/"))


def test_the_list_needs_four_queries_whatever_its_length(
    alice_client, library, a_runbook, a_run, django_assert_max_num_queries
):
    for number in range(30):
        library.add(f"r{number}.md", a_runbook(name=f"r{number}"))
        a_run(f"r{number}.md")
    with django_assert_max_num_queries(4):
        alice_client.get("/runbooks/")


def test_the_search_looks_for_all_words_in_path_and_summary(alice_client, library, a_runbook):
    library.add("db/restart.md", a_runbook(about="The replica."))
    library.add("web/restart.md", a_runbook(about="The proxy."))
    page = text_of(alice_client.get("/runbooks/", {"q": "REPLICA db"}))
    assert "/runbooks/db/restart.md/" in page
    assert "/runbooks/web/restart.md/" not in page


def test_the_search_gives_htmx_the_list_alone(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    fragment = text_of(alice_client.get("/runbooks/", {"q": "res"}, headers={"HX-Request": "true"}))
    assert fragment.startswith('<section class="runbooks" id="runbooks"')
    assert "/runbooks/restart.md/" in fragment
    assert "<html" not in fragment


def test_a_search_without_result_says_so_and_is_escaped(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    page = text_of(alice_client.get("/runbooks/", {"q": "<script>alert(1)</script>"}))
    assert "No runbook has" in page
    assert "<script>alert" not in page


def test_an_empty_library_says_what_to_do(alice_client, library):
    assert "There are no runbooks yet" in text_of(alice_client.get("/runbooks/"))


def test_a_missing_folder_is_said_in_place_of_an_empty_list(alice_client, settings, tmp_path):
    settings.RUNBOOKS_DIR = tmp_path / "nowhere"
    page = text_of(alice_client.get("/runbooks/"))
    assert f"RUNBOOKS_DIR is {tmp_path}/nowhere, which does not exist." in page
    assert "There are no runbooks yet" not in page


def test_the_page_shows_the_documentation_and_a_field_for_each_variable(alice_client, library, a_runbook):
    requirements = """
HOST: The host to restart
MODE: {description: How, type: choice, choices: [soft, hard], default: soft}
COUNT: {type: number, default: "3"}
NOTES: {type: multiline, required: false}
FORCE: {type: boolean, default: "true"}
"""
    library.add("restart.md", a_runbook(about="Some **bold** words.", requirements=requirements))
    page = text_of(alice_client.get("/runbooks/restart.md/"))
    assert "<strong>bold</strong>" in page
    assert '<label class="field__label" for="field-HOST">HOST</label>' in page
    assert "The host to restart" in page
    assert '<option value="soft" selected>soft</option>' in page
    assert re.search('type="number"[^>]* name="COUNT" value="3"', page)
    assert re.search('<textarea[^>]* id="field-NOTES"', page)
    assert 'type="checkbox" name="FORCE" value="true" checked' in page
    assert ">Execute</button>" in page


def test_the_name_heads_the_page_once(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    page = text_of(alice_client.get("/runbooks/restart.md/"))
    assert "<h1>restart</h1>" in page
    assert "restart</h2>" not in page


def test_a_secret_has_a_password_field_without_its_default(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements='API_TOKEN: {default: "hunter2"}'))
    page = text_of(alice_client.get("/runbooks/restart.md/"))
    assert 'type="password" name="API_TOKEN" autocomplete="off"' in page
    assert 'value="hunter2"' not in page


def test_a_secret_of_many_lines_keeps_them(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements="SSH_KEY: {type: multiline}"))
    assert re.search('<textarea[^>]* id="field-SSH_KEY"', text_of(alice_client.get("/runbooks/restart.md/")))


def test_a_value_that_the_server_provides_is_not_required(alice_client, library, a_runbook, settings, monkeypatch):
    settings.SCRIPT_ENV = ("REGION",)
    monkeypatch.setenv("REGION", "eu-1")
    library.add("restart.md", a_runbook(requirements={"REGION": "Where"}))
    page = text_of(alice_client.get("/runbooks/restart.md/"))
    assert "Leave it empty to use that value" in page
    assert "aria-required" not in page
    assert "eu-1" not in page


def test_problems_are_said_with_section_and_line_and_forbid_execute(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(language="brainfuck"))
    page = text_of(alice_client.get("/runbooks/restart.md/"))
    assert ", Script: No interpreter is known" in page
    assert '<button class="button button--main" disabled>Execute</button>' in page
    assert "/runbooks/restart.md/runs/" not in page


def test_without_the_claim_one_reads_and_no_more(bob_client, library, a_runbook, a_run):
    library.add("restart.md", a_runbook(claims=SRE, about="Read me.", history="Past secrets."))
    run = a_run(state="succeeded")
    page = text_of(bob_client.get("/runbooks/restart.md/"))
    assert "Read me." in page
    assert "You need one of these roles: sre, admin. You have: none." in page
    for hidden in ("Past secrets.", f"/runs/{run.pk}/", ">Execute</button>", "/runbooks/restart.md/runs/"):
        assert hidden not in page


def test_with_the_claim_one_sees_history_and_past_runs(alice_client, library, a_runbook, a_run):
    library.add("restart.md", a_runbook(claims=SRE, history="It went well."))
    now = timezone.now()
    run = a_run(state="timed_out", started_at=now, ended_at=now + timezone.timedelta(seconds=3700))
    page = text_of(alice_client.get("/runbooks/restart.md/"))
    assert "It went well." in page
    assert f'href="/runs/{run.pk}/"' in page
    assert "timed out" in page
    assert "1 h 1 min" in page


def test_markup_in_a_runbook_is_not_markup_of_the_page(alice_client, library, a_runbook):
    evil = '<script>alert(1)</script> <img src=x onerror="alert(1)"> [x](javascript:alert(1))'
    library.add("restart.md", a_runbook(about=evil, requirements={"HOST": "'<b hx-get=/x>'"}, history=evil))
    for page in (text_of(alice_client.get("/runbooks/restart.md/")), text_of(alice_client.get("/runbooks/"))):
        for markup in ("<script>alert", "<img src=x", 'href="javascript', "<b hx-get"):
            assert markup not in page


@pytest.mark.parametrize(
    "path", ["nothing.md", "../settings.py", "%2e%2e/outside.md", "..%2foutside.md", "%00.md", "/etc/passwd", ".env.md"]
)
def test_what_is_not_in_the_library_is_not_found(alice_client, library, a_runbook, path):
    library.add("../outside.md", a_runbook())
    library.add(".env.md", a_runbook())
    assert alice_client.get(f"/runbooks/{path}/").status_code == 404


@pytest.mark.parametrize("page", ["/runbooks/", "/runbooks/restart.md/"])
def test_pages_are_for_reading(alice_client, library, a_runbook, page):
    library.add("restart.md", a_runbook())
    assert alice_client.post(page).status_code == 405
    assert alice_client.head(page).status_code == 200


def test_odd_names_have_working_addresses(alice_client, library, a_runbook):
    library.add("a b/50% #1?.md", a_runbook(name="50% #1?"))
    page = text_of(alice_client.get("/runbooks/"))
    assert 'href="/runbooks/a%20b/50%25%20%231%3F.md/"' in page
    assert alice_client.get("/runbooks/a%20b/50%25%20%231%3F.md/").status_code == 200
