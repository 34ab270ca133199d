"""A real nginx before a server: one process in the foreground, with a configuration and folders of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.processes import free_port, until

# Debian has it where only root looks.
EXECUTABLE = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
# As Debian ships it, but for what would need root or other folders, and a time-out that a test can wait for.
MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{sites}
}}
"""
# What an operator writes who has read nothing: everything is buffered, and spoken to in HTTP/1.0.
PLAIN = """
    server {{
        listen 127.0.0.1:{port};
        proxy_read_timeout 3s;
        {options}
        location / {{ proxy_pass http://127.0.0.1:{server}; }}
    }}
"""


def plain_site(*, server: int, options: str = "") -> tuple[int, str]:
    """The port and the configuration of a site that only passes on, with these options."""
    port = free_port()
    return port, PLAIN.format(port=port, server=server, options=options)


@contextlib.contextmanager
def nginx(folder: Path, sites: str, *, port: int) -> Iterator[None]:
    """Run nginx with these sites, of which one listens on this port, until the end of the block."""
    if not EXECUTABLE:
        missing = "no nginx on this machine: on Debian, install the package nginx-light"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(MAIN.format(folder=folder, sites=sites))
    with (folder / "stderr").open("wb") as complaints:
        command = [EXECUTABLE, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
        process = subprocess.Popen(command, stderr=complaints)
    try:
        until(lambda: process.poll() is not None or _listens(port))
        assert process.poll() is None, "nginx did not start"
        yield
    finally:
        process.terminate()
        process.wait(10)
        print((folder / "stderr").read_text())  # pytest shows it if the test failed


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(hosts, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(certificate.public_bytes(pem) + secret)
    return file


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
