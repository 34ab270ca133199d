"""The review for Django's staff: its filters, its dates, and what it exports."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.test import AsyncClient, Client

from runbooks.admin import export
from runbooks.threads import in_thread

RUNS = "/admin/runbooks/run/"


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.fixture
def staff_client(admin_user) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def listed(client: Client, query: str) -> list[str]:
    """The runbooks of the runs that the list shows with this query."""
    return [run.runbook for run in client.get(RUNS + query).context["cl"].result_list]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?state__exact=failed", ["old.md"]),
        ("?runbook=new.md", ["new.md"]),
        ("?actor=bob", ["old.md"]),
        ("?is_pinned__exact=1", ["old.md"]),
        ("?q=ol", ["old.md"]),
        ("?queued_at__year=2025", ["old.md"]),
        ("?queued_at__year=2026&queued_at__month=11", ["new.md"]),
        ("?queued_at__year=2026&queued_at__month=11&queued_at__day=23", []),
        ("?queued_at__gte=2026-01-01+00:00:00%2B00:00", ["new.md"]),
    ],
)
def test_each_filter_narrows_the_list(staff_client, a_run, query, found):
    a_run("old.md", actor="bob", state="failed", is_pinned=True, queued_at=datetime(2025, 3, 4, tzinfo=UTC))
    a_run("new.md", actor="alice", state="succeeded", queued_at=datetime(2026, 11, 22, tzinfo=UTC))
    assert listed(staff_client, query) == found


def test_the_filters_offer_the_busiest_runbooks_and_the_chosen_one(staff_client, a_run):
    for number in range(25):
        a_run(f"busy-{number}.md")
        a_run(f"busy-{number}.md")
    a_run("rare.md")
    assert "?runbook=rare.md" not in text_of(staff_client.get(RUNS))
    assert "?runbook=rare.md" in text_of(staff_client.get(f"{RUNS}?runbook=rare.md"))


@pytest.mark.parametrize(
    ("query", "shown", "not_shown"),
    [
        ("", ">2025<", ">2024<"),
        ("?queued_at__year=2025", ">November 2025<", ">October 2025<"),
        ("?queued_at__year=2025&queued_at__month=12", ">31 December 2025<", ">1 January 2026<"),
        ("?queued_at__year=2026&queued_at__month=1", ">3 January 2026<", ">4 January 2026<"),
        (
            "?queued_at__year=2026&queued_at__month=1&queued_at__day=2",
            "&lsaquo; January 2026",
            ">2025<",
        ),
        ("?queued_at__year=1999", "&lsaquo; All dates", ">January 1999<"),
    ],
)
def test_the_dates_lead_from_years_to_days(staff_client, a_run, query, shown, not_shown):
    a_run(queued_at=datetime(2025, 11, 30, tzinfo=UTC))
    a_run(queued_at=datetime(2026, 1, 3, tzinfo=UTC))
    page = text_of(staff_client.get(RUNS + query))
    assert shown in page
    assert not_shown not in page


def test_a_date_keeps_the_other_filters(staff_client, a_run):
    a_run(queued_at=datetime(2026, 1, 3, tzinfo=UTC), state="failed")
    assert "?queued_at__year=2026&amp;state__exact=failed" in text_of(staff_client.get(f"{RUNS}?state__exact=failed"))


@pytest.mark.parametrize(
    "query",
    [
        "queued_at__year=0",
        "queued_at__year=9999",
        "queued_at__year=99999",
        f"queued_at__year={'9' * 40}",
        "queued_at__year=x",
        "queued_at__year=2026&queued_at__month=13",
        "queued_at__month=3",
        "queued_at__gte=x",
        "queued_at__month__gte=1",
    ],
)
def test_no_date_in_an_address_is_more_than_it_can_read(staff_client, a_run, query):
    a_run()
    for address in (f"{RUNS}?{query}", f"{RUNS}export.csv?{query}"):
        answer = staff_client.get(address)
        assert answer.status_code == 400 or answer.url.endswith("?e=1"), address


def test_a_list_reads_none_of_the_large_columns(staff_client, a_run, django_assert_max_num_queries):
    a_run(source="# a very long source", sealed_values=b"sealed")
    with django_assert_max_num_queries(20) as queries:
        staff_client.get(RUNS)
    asked = " ".join(query["sql"] for query in queries.captured_queries)
    assert '"runbooks_run"."source"' not in asked
    assert "sealed_values" not in asked


def test_the_pages_of_the_review_are_ours(staff_client, settings, a_run):
    settings.UI_HEADER = "Night shift <b>"
    page = text_of(staff_client.get(RUNS))
    assert "Night shift &lt;b&gt;: review" in page
    assert 'href="/runbooks/">Back to the runbooks' in page
    assert "style=" not in page
    assert "<style" not in page


@pytest.mark.parametrize(
    "path", ["auth/user/", "auth/user/add/", "auth/group/", "auth/group/add/", "", "password_change/"]
)
def test_accounts_need_nothing_that_the_policy_forbids(staff_client, path):
    answer = staff_client.get(f"/admin/{path}")
    assert answer.status_code == 200
    page = text_of(answer)
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count("<script src=") + page.count("<script id=") + page.count("<script\n")


@pytest.mark.django_db(transaction=True)
class TestTheExport:
    """Through ASGI, as the server does it: a test of Django's other way would gather the whole file first."""

    @pytest.fixture
    async def staff(self, admin_user) -> AsyncClient:
        client = AsyncClient()
        await client.aforce_login(admin_user)
        return client

    async def test_csv_has_each_run_and_nothing_that_a_spreadsheet_calculates(self, staff, a_run_later):
        await a_run_later("=cmd.md", values={"HOST": "db1", "TOKEN": "***"}, note="+1", sealed_values=b"sealed-bytes")
        await a_run_later("@sum.md", actor="-1", reason="a, b\n=c")
        rows = list(csv.DictReader(io.StringIO((await self.whole(staff, "export.csv"))[3:].decode())))
        assert [row["runbook"] for row in rows] == ["'@sum.md", "'=cmd.md"]
        assert (rows[0]["actor"], rows[0]["reason"]) == ("'-1", "a, b\n=c")
        assert rows[1]["note"] == "'+1"
        assert json.loads(rows[1]["values"]) == {"HOST": "db1", "TOKEN": "***"}
        assert set(rows[0]) == set(export.COLUMNS)

    async def test_json_is_one_list_however_many_pieces_it_came_in(self, staff, a_run_later, monkeypatch):
        monkeypatch.setattr(export, "MANY", 2)
        for number in range(5):
            await a_run_later(f"{number}.md", source="the source", sealed_values=b"sealed-bytes")
        whole = await self.whole(staff, "export.json")
        assert [run["runbook"] for run in json.loads(whole)] == ["4.md", "3.md", "2.md", "1.md", "0.md"]
        assert b"sealed" not in whole
        assert b"the source" not in whole

    async def test_no_runs_are_a_file_as_well(self, staff):
        assert json.loads(await self.whole(staff, "export.json")) == []
        assert (await self.whole(staff, "export.csv")).count(b"\n") == 1

    async def test_it_has_what_is_filtered_whatever_its_order(self, staff, a_run_later):
        for state in ("failed", "succeeded", "failed"):
            await a_run_later(f"{state}.md", state=state)
        runs = json.loads(await self.whole(staff, "export.json?state__exact=failed&o=2"))
        assert [run["state"] for run in runs] == ["failed", "failed"]
        assert runs[0]["id"] > runs[1]["id"]

    async def whole(self, staff: AsyncClient, address: str) -> bytes:
        answer = await staff.get(RUNS + address, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "identity"
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="runs-')
        return b"".join([piece async for piece in answer.streaming_content])


@pytest.fixture
def a_run_later(a_run):
    async def create(*arguments: object, **fields: object):
        return await in_thread(a_run, *arguments, **fields)

    return create


def test_only_who_may_view_runs_may_take_them_along(db, django_user_model, a_run):
    a_run()
    account = django_user_model.objects.create_user("clerk", is_staff=True)
    client = Client()
    client.force_login(account)
    assert client.get(f"{RUNS}export.csv").status_code == 403
    account.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert client.get(f"{RUNS}export.csv").status_code == 200
