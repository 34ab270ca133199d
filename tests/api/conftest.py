"""A real server, with runbooks for all that programs do."""

from collections.abc import Iterator

import pytest

from tests.api.clients import Program
from tests.browser.server import Server

# Carriage returns, halves of a character, bytes that are no text, NUL, both streams, a line that does not end.
MIXED = r"""
echo one; sleep 0.05; echo two >&2; sleep 0.05
printf 'bar 1\rbar 2\r\n\r'; printf 'h\303'; sleep 0.3; printf '\244lf\n'
printf '\377 bad \000 nul\n'; printf 'prompt: '; sleep 0.3
printf 'half \342' >&2; sleep 0.3; printf '\202\254 and more\n\n\n' >&2
seq 1 3000; printf 'data: x\n\nevent: done\nid: 7\n: y\n'; printf '{"event": "done"}\n'
printf 'cut \342\202'; exit 3
"""
BOOKS = {
    "mixed.md": {"script": MIXED},
    "true.md": {"script": "true"},
    "quiet.md": {"script": "sleep 5; echo at last"},
    "ops/deep er.md": {"script": "echo deep"},
    "wait.md": {
        "requirements": {"GO": "A file to wait for"},
        "script": 'until [ -e "$GO" ]; do sleep 0.05; done; echo went',
    },
    "flood.md": {"script": "yes 'a line of forty bytes, and then some more' | head -n 200000"},
    "say.md": {"requirements": {"WORD": "What to say"}, "script": 'echo "$WORD${EXTRA-}"'},
    "ask.md": {"settings": {"confirm": "true"}, "script": "echo sure"},
    "load.md": {
        "requirements": {"DUMP": "{type: file}", "HOSTS": "{type: multichoice, choices: [a b, c], default: [c]}"},
        "script": 'basename "$DUMP"; cat "$DUMP"; echo "$HOSTS"',
    },
    "broken.md": {"script": "true", "requirements": "WORD: {type: nonsense}\n"},
    "guarded.md": {"claims": {"roles": ["dba"]}, "script": "echo secret"},
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("api"))
    for path, contents in BOOKS.items():
        server.add(path, **contents)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def alice(server: Server) -> Iterator[Program]:
    with Program(server, "alice", "sre") as program:
        yield program


@pytest.fixture(scope="session")
def dora(server: Server) -> Iterator[Program]:
    with Program(server, "dora", "dba") as program:
        yield program
