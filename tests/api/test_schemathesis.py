"""Every address that the description names, asked at length with what fits it and what does not, on a real server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.clients import Program
from tests.browser.server import Server

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
# What there is is asked for by its name, which nobody would find by chance.
THERE = """
[parameters]
rb = ["say.md", "ops/deep er", "guarded.md", "ask.md", "broken.md"]
run_id = {run}
"""


def asked(server: Server, program: Program, config: Path) -> subprocess.CompletedProcess[str]:
    """What the test of every address says; the one that would end the server is left out."""
    options = {
        "--checks": ",".join(CHECKS),
        "--header": f"Authorization: Bearer {program.token}",
        "--exclude-path": "/api/shutdown",
        "--phases": "coverage,fuzzing",
        "--max-examples": "20",
        "--seed": "1",
        "--generation-database": "none",
        "--request-timeout": "30",
        "--warnings": "off",
    }
    arguments = [word for option in options.items() for word in option]
    command = ["-m", "schemathesis.cli", "--config-file", str(config), "--no-color", "run", *arguments]
    address = f"{server.url}/docs/openapi.yaml"
    return subprocess.run([sys.executable, *command, address], capture_output=True, text=True, cwd=config.parent)


@pytest.mark.parametrize("config", [THERE, ""], ids=["what-is-there", "what-is-not"])
def test_each_answer_is_as_described(server, alice, tmp_path, config):
    file = tmp_path / "schemathesis.toml"
    file.write_text(config.format(run=alice.execute("true.md").json()["run_id"]))
    said = asked(server, alice, file)
    assert said.returncode == 0, said.stdout + said.stderr
    assert alice.client.get("/readyz").status_code == 200
