"""The scripts of the deployment's containers, as far as they run anywhere; `tests/docker` runs the rest."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.real_hub import ROOT

LEGO = """#!/bin/sh
echo "$@" >> "$INSET_ACME_ROOT/asked"
[ -e "$INSET_ACME_ROOT/away" ] && { rm "$INSET_ACME_ROOT/away"; exit 1; }
mkdir -p "$INSET_ACME_ROOT/acme/certificates"
for kind in crt key; do echo "$kind" > "$INSET_ACME_ROOT/acme/certificates/inset.example.org.$kind"; done
"""
"""Stands in for the ACME client, whose server is far: it writes down what it is asked for, and makes its files."""


@pytest.fixture
def acme(tmp_path: Path) -> dict[str, str]:
    """The environment of deploy/acme/acme.sh, with folders of its own."""
    for folder in ("acme", "certificates", "challenge", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "lego").write_text(LEGO)
    (tmp_path / "bin" / "lego").chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "INSET_ACME_ROOT": str(tmp_path),
        "INSET_ACME_ONCE": "1",
        "INSET_ACME_PATIENCE": "0",
        "INSET_ACME_EMAIL": "operator@example.org",
        "INSET_DOMAIN": "example.org",
        "INSET_DEMO": "0",
        "INSET_SEATS": "3",
    }


def test_a_certificate_names_each_seat_and_is_fetched_once_and_then_renewed(
    acme: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "away").touch()

    for _ in range(2):
        _run("acme/acme.sh", acme)

    first, again, renewed = (tmp_path / "asked").read_text().splitlines()
    assert first == again
    names = [f"seat-00{number}.nb.example.org" for number in (1, 2, 3)]
    assert [word for word in first.split() if word.endswith("example.org") and "@" not in word] == [
        "inset.example.org",
        "assets.nb.example.org",
        *names,
    ]
    assert first.endswith(f"--http --http.webroot {tmp_path}/challenge run")
    assert renewed == first.removesuffix("run") + "renew --days 30 --no-random-sleep"
    assert (tmp_path / "certificates" / "fullchain.pem").read_text() == "crt\n"
    assert (tmp_path / "certificates" / "key.pem").stat().st_mode & 0o077 == 0


def test_by_dns_a_certificate_is_a_wildcard(acme: dict[str, str], tmp_path: Path) -> None:
    _run("acme/acme.sh", {**acme, "INSET_ACME_DNS": "rfc2136", "INSET_SEATS": "500", "INSET_DEMO": "1"})

    [asked] = (tmp_path / "asked").read_text().splitlines()
    domains = "--domains inset.example.org --domains fieldnotes.example.org --domains *.nb.example.org"
    assert asked.endswith(f"{domains} --dns rfc2136 run")


def test_more_seats_than_a_certificate_can_name_are_told(acme: dict[str, str]) -> None:
    refused = _run("acme/acme.sh", {**acme, "INSET_SEATS": "99"}, code=2)

    assert "for more than 97 seats set INSET_ACME_DNS" in refused


@pytest.mark.parametrize(
    ("port", "url_port", "told"),
    [("443", ":443", "set INSET_URL_PORT to nothing"), ("9443", ":8443", "set it to ':9443'")],
)
def test_a_port_that_addresses_do_not_name_is_told(port: str, url_port: str, told: str) -> None:
    assert told in _run("secrets/secrets.sh", {"INSET_PORT": port, "INSET_URL_PORT": url_port}, code=2)


def _run(script: str, environment: dict[str, str], *, code: int = 0) -> str:
    path = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(["sh", ROOT / "deploy" / script], env=path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stderr
