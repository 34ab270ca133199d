"""The viewer's time zone: times as on their own clock, the exact UTC beside them."""

from datetime import UTC, datetime

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from runbooks.templatetags.show import moment
from runbookweb.zone import zone_of

WINTER = datetime(2026, 11, 22, 16, 23, 59, 123456, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 22, 0, 0, tzinfo=UTC)


def shown(zone: str, when: datetime) -> str:
    with timezone.override(zone_of(zone)):
        return moment(when)


@pytest.mark.parametrize(
    ("zone", "when", "words"),
    [
        ("Europe/Berlin", WINTER, '2026-11-22 17:23:59 <span class="zone">UTC+1</span>'),
        ("Europe/Berlin", SUMMER, '2026-07-02 00:00:00 <span class="zone">UTC+2</span>'),
        ("Asia/Kolkata", WINTER, '2026-11-22 21:53:59 <span class="zone">UTC+5:30</span>'),
        ("America/St_Johns", WINTER, '2026-11-22 12:53:59 <span class="zone">UTC\N{MINUS SIGN}3:30</span>'),
        ("America/Argentina/Buenos_Aires", WINTER, '13:23:59 <span class="zone">UTC\N{MINUS SIGN}3</span>'),
        ("Etc/GMT+12", WINTER, '04:23:59 <span class="zone">UTC\N{MINUS SIGN}12</span>'),
        ("UTC", WINTER, '2026-11-22 16:23:59 <span class="zone">UTC</span>'),
        ("", WINTER, '2026-11-22 16:23:59 <span class="zone">UTC</span>'),
    ],
)
def test_a_moment_is_told_on_the_viewers_clock(zone, when, words):
    assert words in shown(zone, when)


def test_the_exact_utc_is_the_title():
    assert 'title="2026-11-22 16:23:59 UTC"' in shown("Europe/Berlin", WINTER)
    assert 'datetime="2026-11-22T16:23:59.123456+00:00"' in shown("Europe/Berlin", WINTER)


@pytest.mark.parametrize(
    "hostile",
    [
        *("Europe", "America/Argentina", "Nowhere/Land", "../../../etc/passwd", "/etc/localtime", "zone.tab", "a\0b"),
        *("Europe/Berlin ", "europe\\berlin", "tzdata", "<script>", "\N{SNOWMAN}", "x" * 5000, "-/-", "Etc/GMT+99"),
    ],
)
def test_what_is_no_zone_is_utc(hostile):
    assert zone_of(hostile) is UTC


def test_the_cookie_decides_for_one_request_alone(alice_client, a_run, library):
    run = a_run(started_at=WINTER)
    alice_client.cookies["runbookweb_zone"] = "Asia/Tokyo"
    assert "2026-11-23 01:23:59" in alice_client.get(run.get_absolute_url()).content.decode()
    assert timezone.get_current_timezone_name() == "UTC"
    del alice_client.cookies["runbookweb_zone"]
    assert "2026-11-22 16:23:59" in alice_client.get(run.get_absolute_url()).content.decode()


@pytest.mark.django_db
def test_pages_load_the_script_that_tells_the_zone():
    assert "/static/zone.js?v=" in render_to_string("error.html", {"status": 404})
