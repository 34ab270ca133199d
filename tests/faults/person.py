"""Somebody at a browser without JavaScript: signed in, with cookies and forms."""

import httpx

from tests.processes import Process


class Person(httpx.Client):
    """A browser's requests to a server's pages, and what they are answered."""

    def __init__(self, server: Process):
        super().__init__(base_url=f"http://127.0.0.1:{server.port}", timeout=40)
        server.clients.callback(self.close)
        self.get("/login/")

    def sign_in(self, subject: str = "ann", roles: str = "sre") -> httpx.Response:
        return self.send_form("/login/", subject=subject, roles=roles)

    def start(self, runbook: str, **values: str) -> httpx.Response:
        return self.send_form(f"/runbooks/{runbook}/runs/", **values)

    def send_form(self, path: str, **values: str) -> httpx.Response:
        return self.post(path, data={"csrfmiddlewaretoken": self.cookies["runbookweb_csrf"], **values})


def signed_in_person(server: Process) -> Person:
    person = Person(server)
    assert person.sign_in().status_code == 302
    return person
