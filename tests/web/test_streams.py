"""A run's streams against a real server: who may read them, where they go on, how they end."""

import contextlib
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import httpx
import pytest

from tests.browser.server import Server

ROW = re.compile(r'id="L(\d+)">.*?<span class="log__text">(.*?)</span></div>')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
COUNT = 'i=0; while [ $i -lt "$LINES" ]; do i=$((i+1)); echo "number $i"; sleep "$PAUSE"; done'
BOOKS = {
    "count.md": {"requirements": {"LINES": "How many", "PAUSE": "Seconds between two"}, "script": COUNT},
    "parts.md": {"script": "seq 1 499; printf 'half '; sleep 0.2; echo and half; printf 'no end'"},
    "flood.md": {"script": "seq 1 50000"},
    "guarded.md": {"claims": {"roles": ["dba"]}, "script": "echo secret"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("streams"))
    for path, contents in BOOKS.items():
        server.add(path, **contents)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Person:
    """Somebody who is signed in, with a browser of their own."""

    def __init__(self, server: Server, *roles: str):
        self.client = httpx.Client(base_url=server.url, timeout=30)
        if roles:
            self._submit("/login/", "/login/", subject=roles[0], roles=", ".join(roles))

    def start(self, path: str, **values: str) -> str:
        return self._submit(f"/runbooks/{path}/", f"/runbooks/{path}/runs/", **values).headers["Location"]

    def read(self, run: str, **headers: str) -> "Reading":
        with self.client.stream("GET", f"{run}events/", headers=headers) as answer:
            return Reading(answer)

    def _submit(self, page: str, action: str, **fields: str) -> httpx.Response:
        token = TOKEN.search(self.client.get(page).text)[1]
        answer = self.client.post(action, data={"csrfmiddlewaretoken": token, **fields})
        assert answer.status_code in (302, 303), answer.text
        return answer


class Reading:
    """What one connection brought: lines by number, the last event's id, and whether the end was announced."""

    def __init__(self, answer: httpx.Response, *, leave_after: int = 10**9):
        self.status, self.headers = answer.status_code, answer.headers
        self.rows: dict[int, str] = {}
        self.last_id, self.is_done, self.text = "", False, ""
        for line in answer.iter_lines():
            self.text += line + "\n"
            if line.startswith("id: "):
                self.last_id = line[4:]
            self.is_done |= line == "event: done"
            for number, row in ROW.findall(line):
                self.rows[int(number)] = unescape(re.sub("<[^>]*>", "", row))
            if not line and self.last_id and len(self.rows) >= leave_after:
                return


@pytest.fixture(scope="module")
def person(server) -> Iterator[Callable[..., Person]]:
    with contextlib.ExitStack() as stack:

        def come(*roles: str) -> Person:
            person = Person(server, *roles)
            stack.callback(person.client.close)
            return person

        yield come


@pytest.fixture(scope="module")
def alice(person) -> Person:
    return person("sre")


def test_a_run_is_streamed_from_the_first_line_to_its_end(alice):
    reading = alice.read(alice.start("count.md", LINES="20", PAUSE="0.01"))
    assert reading.rows == {number: f"number {number}" for number in range(1, 21)}
    assert reading.is_done
    assert "succeeded" in reading.text


def test_the_stream_may_be_neither_stored_nor_sniffed_nor_buffered(alice):
    headers = alice.read(alice.start("count.md", LINES="1", PAUSE="0")).headers
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"].startswith("no-cache")
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers


def test_an_ended_run_is_streamed_in_the_same_way(alice):
    run = alice.start("count.md", LINES="5", PAUSE="0")
    assert alice.read(run).rows == alice.read(run).rows != {}


def test_a_reader_goes_on_after_the_last_event_it_saw(alice):
    run = alice.start("count.md", LINES="40", PAUSE="0.02")
    with alice.client.stream("GET", f"{run}events/") as answer:
        first = Reading(answer, leave_after=10)
    second = alice.read(run, **{"Last-Event-ID": first.last_id})
    assert not set(first.rows) & set(second.rows)
    assert {**first.rows, **second.rows} == {number: f"number {number}" for number in range(1, 41)}


@pytest.mark.parametrize("nonsense", ["7", "-1", "999999999", "x", "1e3", "٣", "9" * 40])
def test_an_offset_that_nobody_gave_begins_at_the_first_line(alice, nonsense):
    run = alice.start("count.md", LINES="3", PAUSE="0")
    alice.read(run)
    answer = alice.client.get(f"{run}events/", params={"after": nonsense})
    assert "number 1<" in answer.text


def test_the_header_is_newer_than_the_address(alice):
    run = alice.start("count.md", LINES="3", PAUSE="0")
    last = alice.read(run).last_id
    answer = alice.client.get(f"{run}events/?after=0", headers={"Last-Event-ID": last})
    assert "number" not in ROW.findall(answer.text)


def test_a_reader_far_behind_has_the_last_lines(alice):
    run = alice.start("flood.md")
    alice.read(run)
    reading = alice.read(run)
    assert len(reading.rows) == 500
    assert reading.rows == {number: str(number) for number in range(49_501, 50_001)}


def test_twenty_readers_that_come_and_go_see_the_same_log(person, alice):
    run = alice.start("count.md", LINES="300", PAUSE="0.005")

    def read(seed: int) -> str:
        dice, reader, seen, last_id, is_done = random.Random(seed), person("sre"), {}, "", False
        while not is_done:
            with reader.client.stream("GET", f"{run}events/", headers={"Last-Event-ID": last_id}) as answer:
                reading = Reading(answer, leave_after=dice.randrange(5, 80))
            assert not set(seen) & set(reading.rows), "a line came twice"
            seen.update(reading.rows)
            last_id, is_done = reading.last_id or last_id, reading.is_done
        return "\n".join(seen[number] for number in sorted(seen))

    with ThreadPoolExecutor(20) as threads:
        logs = set(threads.map(read, range(20)))
    assert logs == {"\n".join(f"number {number}" for number in range(1, 301))}


def test_the_whole_log_is_text_and_nothing_else(server, alice):
    run = alice.start("count.md", LINES="3", PAUSE="0")
    alice.read(run)
    answer = alice.client.get(f"{run}log.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content == (server.data / "runs" / run.split("/")[2] / "log").read_bytes()
    assert len(answer.content.splitlines()) == 3


class TestDownloads:
    @pytest.fixture
    def printed(self, alice) -> str:
        run = alice.start("parts.md")
        alice.read(run)
        return run

    def test_the_text_alone_is_what_the_script_printed(self, alice, printed):
        answer = alice.client.get(f"{printed}log.txt?times=none")
        assert answer.text == "".join(f"{number}\n" for number in range(1, 500)) + "half and half\nno end"

    def test_some_lines_are_as_the_file_has_them_or_text_alone(self, alice, printed):
        lines = alice.client.get(f"{printed}log.txt?lines=499-500").text.splitlines()
        assert [line[27:] for line in lines] == [" stdout F 499", " stdout P half ", " stdout F and half"]
        assert alice.client.get(f"{printed}log.txt?lines=499-500&times=none").text == "499\nhalf and half\n"

    def test_as_json_it_is_an_array_of_lines(self, alice, printed):
        answer = alice.client.get(f"{printed}log.json")
        assert answer.headers["Content-Type"] == "application/json"
        told = answer.json()
        assert [line["line"] for line in told] == list(range(1, 502))
        assert told[499].pop("time").endswith("Z")
        assert told[499] == {"line": 500, "stream": "stdout", "text": "half and half"}
        only = alice.client.get(f"{printed}log.json?lines=501-600&times=none").json()
        assert only == [{"line": 501, "stream": "stdout", "text": "no end"}]

    def test_lines_that_are_not_there_are_none(self, alice, printed):
        assert alice.client.get(f"{printed}log.txt?lines=900-950").text == ""
        assert alice.client.get(f"{printed}log.json?lines=900-950").json() == []

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("log.txt?download=1", ".txt"),
            ("log.txt?times=none&download=1", "-without-times.txt"),
            ("log.json?download=1", ".json"),
            ("log.json?times=none&download=1", "-without-times.json"),
            ("log.json?download=1&lines=2-3", "-lines-2-3.json"),
            ("log.txt?download=1&lines=2-3&times=none", "-lines-2-3-without-times.txt"),
            ("log.txt", None),
        ],
    )
    def test_a_file_that_is_kept_has_the_run_s_name(self, alice, printed, address, name):
        number = printed.split("/")[2]
        expected = f'attachment; filename="run-{number}{name}"' if name else None
        assert alice.client.get(printed + address).headers.get("Content-Disposition") == expected

    @pytest.mark.parametrize("query", ["lines=2-1", "lines=0-3", "lines=x", "lines=1-", "lines=5", "times=utc"])
    def test_what_cannot_be_understood_is_refused_with_a_sentence(self, alice, printed, query):
        answer = alice.client.get(f"{printed}log.txt?{query}")
        assert (answer.status_code, answer.text.partition(":")[0]) == (400, query.partition("=")[0])


class TestWatchers:
    WATCHERS = re.compile(r'id="watchers">(.*?)</p>')

    def told(self, person: Person, run: str) -> Iterator[str]:
        """What the page of this person says of who else is watching, as it changes."""
        with person.client.stream("GET", f"{run}events/") as answer:
            for line in answer.iter_lines():
                yield from self.WATCHERS.findall(line)

    def test_one_sees_who_comes_and_who_goes_but_not_oneself(self, person):
        alice, bob, carol = person("alice"), person("bob"), person("carol")
        run = alice.start("count.md", LINES="600", PAUSE="0.02")
        seen = self.told(alice, run)
        assert next(seen) == ""
        one = self.told(bob, run)
        assert next(one) == "alice is watching too"
        assert next(seen) == "bob is watching too"
        two, again = self.told(carol, run), self.told(bob, run)
        assert next(two) == "alice and bob are watching too"
        assert next(seen) == "bob and carol are watching too"
        assert next(again) == "alice and carol are watching too"
        again.close()
        two.close()
        assert next(seen) == "bob is watching too"
        one.close()
        assert next(seen) == ""
        seen.close()


@pytest.mark.parametrize("stream", ["events/", "log.txt", "log.json"])
class TestWhoMayRead:
    @pytest.fixture
    def guarded(self, person) -> str:
        dba = person("dba")
        run = dba.start("guarded.md")
        assert dba.read(run).rows == {1: "secret"}
        return run

    def test_a_stranger_is_refused_without_a_redirect(self, person, guarded, stream):
        answer = person().client.get(guarded + stream)
        assert (answer.status_code, answer.text) == (401, "Sign in first.")

    def test_without_the_claims_there_is_nothing(self, alice, guarded, stream):
        answer = alice.client.get(guarded + stream)
        assert answer.status_code == 404
        assert "secret" not in answer.text

    def test_a_run_that_is_not_there_is_not_found(self, alice, stream):
        assert alice.client.get(f"/runs/999999/{stream}").status_code == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_only_reading_is_allowed(self, alice, guarded, stream, method):
        answer = alice.client.request(method, guarded + stream)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")

    def test_another_host_name_is_refused(self, person, guarded, stream):
        answer = person("dba").client.get(guarded + stream, headers={"Host": "evil.example"})
        assert answer.status_code == 400


def test_a_hundred_readers_that_leave_leave_nothing_behind(server, person):
    visitor = person("sre")
    run = visitor.start("count.md", LINES="400", PAUSE="0.02")
    opened_before = server.descriptors()
    for _ in range(100):
        with visitor.client.stream("GET", f"{run}events/") as answer:
            Reading(answer, leave_after=1)
    visitor.client.close()
    left = threading.Event()
    for _ in range(500):
        if server.descriptors() <= opened_before:
            return
        left.wait(0.02)
    raise AssertionError(f"{server.descriptors()} open descriptors, {opened_before} before")


def test_a_page_that_opens_in_the_middle_of_a_line_has_it_once(person):
    visitor = person("sre")
    run = visitor.start("parts.md")
    visitor.read(run)
    page = visitor.client.get(run).text
    assert re.findall(r'id="(L\d+)"', page) == [f"L{number}" for number in range(2, 502)]
    assert "hx-partial" not in page
    assert page.count('class="log__chunk" data-first="2" data-last="501"') == 1
