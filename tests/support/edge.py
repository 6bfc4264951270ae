"""A real nginx with the edge's configuration, on a free port of 127.0.0.1, with certificates of a CA made for it.

with edge(folder, port=…, hub_proxy=…, service=…) as made:
    await made.ask("seat-001.nb.localhost", "/user/seat-001/api")
"""

import asyncio
import base64
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.real_hub import ROOT

TEMPLATES = ROOT / "deploy" / "edge" / "templates"
TOKEN = "the secret between this edge and its service"
DOMAIN = "nb.localhost"
SERVICE_NAME = "inset.localhost"

_AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/conf.d/*.conf;
}}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    cookies: list[str]
    """Each `Set-Cookie`."""
    body: bytes

    @property
    def by_edge(self) -> bool:
        """Whether the edge itself refused it, before anything behind it was asked."""
        return self.status == 403 and b"The edge does not let this pass." in self.body


@dataclass(frozen=True)
class Edge:
    port: int
    folder: Path
    public_port: int = 0
    """The port that `Host` names, where it is not this one."""

    @property
    def certificate_pin(self) -> str:
        """The certificate's, as Chromium's `--ignore-certificate-errors-spki-list` takes it."""
        certificate = x509.load_pem_x509_certificate((self.folder / "chain.pem").read_bytes())
        key = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(hashlib.sha256(key).digest()).decode()

    def trust(self) -> ssl.SSLContext:
        """Trust this edge's CA, and no other."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    async def ask(
        self,
        host: str,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        server_name: str | None = None,
    ) -> Answer:
        """Send a request whose line is exactly this: HTTP clients tidy an address up."""
        connection = _Tls(server_name or host, self.port, self.trust())
        named = {"Host": f"{host}:{self.public_port or self.port}", **(headers or {})}
        return await asyncio.to_thread(_send, connection, method, target, named, body)


async def ask_plainly(port: int, target: str, headers: Mapping[str, str]) -> Answer:
    """Send a request to what is behind the edge, past it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    return await asyncio.to_thread(_send, connection, "GET", target, headers)


def _send(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
) -> Answer:
    """Send one request and close the connection."""
    with closing(connection):
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.msg.get_all("Set-Cookie", []), answer.read())


class _Tls(http.client.HTTPConnection):
    """To 127.0.0.1, under a name that need not resolve."""

    def __init__(self, server_name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", port, timeout=30)
        self._server_name, self._context = server_name, context

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._server_name)


@contextmanager
def edge(folder: Path, *, port: int, hub_proxy: str, service: str) -> Iterator[Edge]:
    """Run nginx until the block is left; `hub_proxy` and `service` are `host:port`."""
    (folder / "conf.d").mkdir(parents=True)
    (folder / "assets").mkdir()
    make_certificates(folder)
    variables = {
        "INSET_EDGE_LISTEN": f"127.0.0.1:{port}",
        "INSET_EDGE_DOMAIN": DOMAIN,
        "INSET_EDGE_SERVICE_NAME": SERVICE_NAME,
        "INSET_EDGE_CERTIFICATE": f"{folder}/chain.pem",
        "INSET_EDGE_CERTIFICATE_KEY": f"{folder}/key.pem",
        "INSET_EDGE_SERVICE": service,
        "INSET_EDGE_HUB_PROXY": hub_proxy,
        "INSET_EDGE_TOKEN": TOKEN,
        "INSET_EDGE_BODY_LIMIT": "101m",
        "INSET_EDGE_ASSETS": f"{folder}/assets",
    }
    for template in TEMPLATES.glob("*.template"):
        # As envsubst does: what is not ours stays.
        filled_in = Template(template.read_text()).safe_substitute(variables)
        (folder / "conf.d" / template.stem).write_text(filled_in)
    user = "user root root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=user))
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx, "`python3 dev/install.py test` installs nginx"
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_listening(process, port, folder / "error.log")
        yield Edge(port, folder)
    finally:
        process.terminate()
        process.wait(20)


def _until_listening(nginx: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and nginx.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nginx does not listen\n" + (log.read_text() if log.exists() else ""))


def make_certificates(folder: Path, *more: str) -> None:
    """Make a CA (`ca.pem`) and its one certificate for all names and `more` (`chain.pem`, `key.pem`)."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The CA of Inset's tests")])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    names = [x509.DNSName(name) for name in (f"*.{DOMAIN}", DOMAIN, SERVICE_NAME, *more)]
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    leaf = _certificate(leaf_name, ca_name, key, ca_key).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    pem = serialization.Encoding.PEM
    signed_ca, signed = ca.sign(ca_key, hashes.SHA256()), leaf.sign(ca_key, hashes.SHA256())
    (folder / "ca.pem").write_bytes(signed_ca.public_bytes(pem))
    (folder / "chain.pem").write_bytes(signed.public_bytes(pem) + signed_ca.public_bytes(pem))
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, ca_key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
    )
