"""Measures a running server from outside, as a browser uses it: the form's POST and the stream of fragments.

usage: stream.py BASE_URL [--only noop,ticks,flood,many] [--runs N] [--many N] [--pid PID]

The server needs ENABLE_LOGIN and the runbooks in bench/runbooks; --pid adds its memory. Figures are medians of one
sitting; the machine's noise is in them.
"""

import argparse
import http.client
import re
import statistics
import threading
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit

TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')
TICK = re.compile(rb"tick:(\d+\.\d+)")


class Browser:
    """One signed-in person with one connection for pages; each stream has a connection of its own."""

    def __init__(self, base: str):
        self.address = urlsplit(base).netloc
        self.pages = http.client.HTTPConnection(self.address)
        self.cookies: dict[str, str] = {}
        page = self.get("/login/")
        self.post("/login/", page, subject="bench", roles="sre")

    def get(self, path: str) -> bytes:
        return self._ask("GET", path)[1]

    def post(self, path: str, page: bytes, **fields: str) -> str:
        """Submit a form of this page; the address that the answer leads to."""
        fields["csrfmiddlewaretoken"] = TOKEN.search(page)[1].decode()
        return self._ask("POST", path, urlencode(fields))[0]

    def stream(self, run: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.address)
        connection.request("GET", f"{run}events/", headers={"Cookie": self._cookie()})
        return connection.getresponse()

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[str, bytes]:
        headers = {"Cookie": self._cookie(), "Content-Type": "application/x-www-form-urlencoded"}
        self.pages.request(method, path, body, headers)
        answer = self.pages.getresponse()
        content = answer.read()
        assert answer.status < 400, (path, answer.status)
        for header in answer.headers.get_all("Set-Cookie", ()):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.headers.get("Location", ""), content

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


class Watched:
    """One run from the form's POST to its end, seen through the stream."""

    def __init__(self, browser: Browser, name: str, **values: str):
        page = browser.get(f"/runbooks/{name}.md/")
        began = time.perf_counter()
        run = browser.post(f"/runbooks/{name}.md/runs/", page, **values)
        self.latencies: list[float] = []
        self.state, self.bytes = "", 0
        event = b""
        with browser.stream(run) as stream:
            while line := stream.readline():
                self.bytes += len(line)
                if line.startswith(b"event:"):
                    event = line[6:].strip()
                elif line.startswith(b"data:") and event == b"done":
                    self.state = line[5:].strip().decode()
                    break
                elif line.startswith(b"data:"):
                    now = time.time()
                    self.latencies += [now - float(tick) for tick in TICK.findall(line)]
        self.seconds = time.perf_counter() - began
        assert self.state == "succeeded", self.state


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def noop(browser: Browser, runs: int) -> str:
    seconds = [Watched(browser, "Noop").seconds for _ in range(runs + 5)][5:]
    return f"p50 {1e3 * statistics.median(seconds):.1f} ms, p95 {1e3 * share(seconds, 0.95):.1f} ms, {runs} runs"


def ticks(browser: Browser) -> str:
    found = Watched(browser, "Ticks", COUNT="200", PAUSE="0.02").latencies
    assert len(found) == 200, len(found)
    return f"p50 {1e3 * share(found, 0.5):.2f} ms, p99 {1e3 * share(found, 0.99):.2f} ms, {len(found)} lines"


def flood(browser: Browser) -> str:
    runs = [Watched(browser, "Flood", LINES_OUT="100000") for _ in range(5)]
    seconds = statistics.median(run.seconds for run in runs)
    return f"{seconds:.3f} s from POST to done, {runs[0].bytes} bytes received, median of {len(runs)}"


def many(base: str, count: int) -> str:
    found: list[list[float]] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(Watched(Browser(base), "Ticks", COUNT="50", PAUSE="0.2").latencies)
        )
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies = [latency for run in found for latency in run]
    complete = sum(len(run) == 50 for run in found)
    return (
        f"{complete} of {count} complete, p50 {1e3 * share(latencies, 0.5):.1f} ms, "
        f"p99 {1e3 * share(latencies, 0.99):.1f} ms"
    )


def memory(pid: int) -> str:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return f"{pages * 4096 / 2**20:.0f} MB resident"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("--only", default="noop,ticks,flood,many")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--many", type=int, default=20)
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    browser = Browser(options.base)
    measures = {
        "noop": lambda: noop(browser, options.runs),
        "ticks": lambda: ticks(browser),
        "flood": lambda: flood(browser),
        "many": lambda: many(options.base, options.many),
    }
    for name in options.only.split(","):
        before = memory(options.pid) if options.pid else ""
        print(f"{name}: {measures[name]()}", flush=True)
        if options.pid:
            print(f"  server: {before} before, {memory(options.pid)} after", flush=True)


if __name__ == "__main__":
    main()
