"""What `inset doctor` and `GET /v1/doctor` find: everything well, and each thing that can be wrong, made wrong once."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from starlette.applications import Starlette

from inset.cli import main
from inset.db import open_database
from inset.doctor import Doctor, Finding
from inset.hosts import apply_hosts, remove_host
from inset.settings import Settings
from tests.fakes.fake_hub import SERVICE_TOKEN
from tests.service.conftest import execute, problem
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.serving import served


async def examined(settings: Settings, **options: object) -> dict[str, Finding]:
    """Give the findings by their codes."""
    timeout = settings.hub.timeout.total_seconds()
    async with open_database(settings.database_url) as database, httpx.AsyncClient(timeout=timeout) as http:
        found = await Doctor(settings, database, http, **options).examine()  # type: ignore[arg-type]
    return {finding.code: finding for finding in found}


def changed(settings: Settings, **values: object) -> Settings:
    """Give settings of which some are otherwise; `hub` names those of the hub."""
    hub = settings.hub.model_copy(update=values.pop("hub", {}))
    return settings.model_copy(update={"hub": hub, **values})


def wrong(found: dict[str, Finding]) -> set[str]:
    return {code for code, finding in found.items() if finding.level in ("warning", "error")}


async def test_a_good_set_up_is_found_good(settings):
    found = await examined(settings)

    assert wrong(found) == set()
    assert {code for code, finding in found.items() if finding.level == "skipped"} == {"websocket", "framing"}
    assert "no notebook server is running" in found["websocket"].message
    assert "another site" in found["cookies"].message


async def test_a_running_server_is_looked_at_and_left_alone(settings, hub, ready_session):
    await ready_session()
    before = list(hub.servers)

    found = await examined(settings)

    assert wrong(found) == set()
    assert (found["websocket"].level, found["framing"].level) == ("ok", "ok")
    assert list(hub.servers) == before


# -- each thing wrong once -----------------------------------------------------------------------


async def test_a_database_of_an_older_schema(settings):
    await execute(settings, "UPDATE alembic_version SET version_num = '0001'")

    found = await examined(settings)

    assert "inset db upgrade" in found["database-old"].fix


async def test_a_database_that_is_away(settings):
    found = await examined(changed(settings, database_url="sqlite+aiosqlite:////nowhere/inset.db"))

    assert "INSET_DATABASE_URL" in found["database-unreachable"].fix


@pytest.mark.parametrize(("mode", "level"), [(0o604, "error"), (0o640, "warning")])
async def test_a_signing_key_that_others_can_read(settings, mode, level):
    settings.signing_key_file.chmod(mode)

    found = (await examined(settings))["signing-key-readable"]

    assert found.level == level
    assert "INSET_SIGNING_KEY_FILE" in found.fix


async def test_a_signing_key_on_another_curve(settings):
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings.signing_key_file.write_bytes(pem)

    found = await examined(settings)

    assert "INSET_SIGNING_KEY_FILE" in found["signing-key-invalid"].fix


async def test_nobody_registered(settings, host, other_host):
    async with open_database(settings.database_url) as database:
        for one in (host, other_host):
            await remove_host(database, one.id)

    assert "inset hosts apply" in (await examined(settings))["no-hosts"].fix


async def test_a_host_by_plain_http(settings, tmp_path):
    plain = TestHost(id="plain", origins=("http://plain.example",))
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "plain.toml", plain))

    assert "`origins`" in (await examined(settings))["host-without-tls"].fix


@pytest.mark.parametrize("trouble", ["down", "error", "html"])
async def test_a_hub_that_is_away_or_no_hub(settings, hub, trouble):
    hub.trouble = trouble

    found = await examined(settings)

    assert "INSET_HUB__API_URL" in found["hub-unreachable"].fix
    assert {found[code].level for code in ("token", "seats", "isolation")} == {"skipped"}


@pytest.mark.parametrize(("version", "level"), [("5.4.0", "error"), ("7.0.0", "warning"), ("?", "error")])
async def test_a_hub_of_another_version(settings, hub, version, level):
    hub.version = version

    found = (await examined(settings))["hub-version"]

    assert found.level == level
    assert "JupyterHub 6" in found.fix


async def test_a_token_that_the_hub_does_not_know(settings):
    found = await examined(changed(settings, hub={"token": SecretStr("another")}))

    assert "INSET_HUB__TOKEN" in found["token-refused"].fix
    assert "seats-missing" not in found


async def test_a_token_that_may_too_little(settings, hub):
    hub.scopes.remove("tokens!group=seats")

    found = await examined(settings)

    assert "tokens!group=seats" in found["scopes-missing"].message
    assert "load_roles" in found["scopes-missing"].fix


@pytest.mark.parametrize("scope", ["admin:users", "servers", "list:users", "tokens!user=eve"])
async def test_a_token_that_may_too_much(settings, hub, scope):
    hub.scopes.append(scope)

    found = (await examined(settings))["scopes-too-wide"]

    assert found.level == "error"
    assert scope in found.message
    assert "load_roles" in found.fix


async def test_more_seats_than_the_hub_has(settings):
    found = (await examined(changed(settings, hub={"seats": 64})))["seats-missing"]

    assert found.level == "error"
    assert "takes 64 seats and finds 3" in found.message
    assert "INSET_HUB__SEATS" in found.fix
    assert "INSET_SEATS" in found.fix


async def test_seats_that_share_an_origin(settings, hub):
    hub.isolated = False

    found = await examined(settings)

    assert found["shared-origin"].level == "error"
    assert "INSET_ISOLATION" in found["shared-origin"].fix
    assert (await examined(changed(settings, allow_shared_origin=True)))["shared-origin"].level == "warning"


async def test_a_proxy_that_is_away(settings):
    found = await examined(changed(settings, hub={"proxy_url": "http://127.0.0.1:9"}))

    assert "INSET_HUB__PROXY_URL" in found["proxy-unreachable"].fix


@pytest.mark.parametrize(("seconds", "level"), [(-10, "warning"), (90, "error")])
async def test_clocks_that_differ(settings, hub, seconds, level):
    hub.clock_ahead = timedelta(seconds=seconds)
    async with served(hub.app, date_header=False) as url:
        found = (await examined(changed(settings, hub={"api_url": f"{url}/hub/api"})))["clock-skew"]

    assert found.level == level
    assert "NTP" in found.fix


async def test_a_wildcard_name_that_does_not_resolve(settings, hub):
    hub.public_url = "https://nb.inset.invalid"

    found = (await examined(settings))["name-unresolved"]

    assert "seat-003.nb.inset.invalid" in found.message
    assert "*.nb.inset.invalid" in found.fix
    assert "INSET_HUB_PUBLIC_URL" in found.fix


async def test_notebooks_by_plain_http(settings, hub):
    hub.public_url = "http://nb.inset.invalid"

    assert "INSET_HUB_PUBLIC_URL" in (await examined(settings))["no-tls"].fix


async def test_a_service_by_plain_http(settings):
    found = await examined(changed(settings, public_url="http://inset.invalid"))

    assert "INSET_PUBLIC_URL" in found["no-tls"].fix
    assert "INSET_PUBLIC_URL" in found["name-unresolved"].fix


async def test_a_public_address_that_nobody_listens_at(settings):
    found = (await examined(changed(settings, public_url="https://localhost:9")))["tls-unreachable"]

    assert found.level == "warning"
    assert "INSET_PUBLIC_URL" in found.fix


async def test_a_certificate_for_the_wildcard_is_good_and_another_is_not(settings, hub, tmp_path, monkeypatch):
    async with _https(tmp_path, "*.nb.localhost") as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        hub.public_url = f"https://nb.localhost:{port}"
        good = await examined(settings)
        hub.public_url = f"https://other.localhost:{port}"
        bad = await examined(settings)

    assert good["tls"].level == "ok"
    assert bad["certificate-invalid"].level == "error"
    assert "*.other.localhost" in bad["certificate-invalid"].fix


async def test_a_certificate_that_expires_soon(settings, hub, tmp_path, monkeypatch):
    async with _https(tmp_path, "*.nb.localhost", days=3) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        hub.public_url = f"https://nb.localhost:{port}"

        assert "INSET_HUB_PUBLIC_URL" in (await examined(settings))["certificate-expires"].fix


async def test_a_proxy_that_swallows_websockets(settings, hub, ready_session):
    await ready_session()
    hub.upgrades = False

    found = (await examined(settings))["websocket-blocked"]

    assert "403" in found.message
    assert "INSET_HUB__PROXY_URL" in found.fix


async def test_a_server_that_does_not_answer(settings, ready_session):
    await ready_session()

    found = await examined(changed(settings, hub={"proxy_url": "http://127.0.0.1:9"}))

    assert "INSET_HUB__PROXY_URL" in found["server-silent"].fix


async def test_a_server_without_the_bridge(settings, hub, ready_session):
    hub.bridged = False
    await ready_session()

    assert "INSET_SINGLEUSER_CMD" in (await examined(settings))["no-bridge"].fix


@pytest.mark.parametrize("added", ["X-Frame-Options", "Content-Security-Policy"])
async def test_a_proxy_that_forbids_framing(settings, hub, ready_session, added):
    await ready_session()
    hub.server_headers = {added: "frame-ancestors 'self'"}

    assert "INSET_HUB__PROXY_URL" in (await examined(settings))["framing-refused"].fix


@pytest.mark.parametrize("policy", ["default-src 'none'", "frame-ancestors * http://localhost:8090"])
async def test_a_server_that_anybody_may_frame(settings, hub, ready_session, policy):
    await ready_session()
    hub.server_headers = {"Content-Security-Policy": policy}

    assert "INSET_HUB__PROXY_URL" in (await examined(settings))["framing-open"].fix


# -- whatever happens ----------------------------------------------------------------------------


async def test_a_check_that_crashes_or_hangs_is_a_finding_and_ends_no_other(settings, hub):
    # A table that somebody has damaged, which no check looks for.
    await execute(settings, "DROP TABLE servers")
    hub.trouble = "slow"

    # Less than the hub may take, and enough for every other check on a busy machine.
    patient = settings.hub.model_copy(update={"timeout": timedelta(seconds=20)})
    found = await examined(settings.model_copy(update={"hub": patient}), patience=timedelta(seconds=5))

    assert "OperationalError" in found["check-crashed"].message
    assert "INSET_HUB__TIMEOUT" in found["check-timed-out"].fix
    assert (found["database"].level, found["signing-key"].level) == ("ok", "ok")


async def test_no_finding_holds_a_secret(settings, hub, host, ready_session):
    await ready_session()
    secrets = [SERVICE_TOKEN, hub.server().own_token, *hub.tokens, host.signing_key]
    for trouble in (None, "error", "html"):
        hub.trouble = trouble
        found = await examined(settings)
        told = json.dumps([finding.model_dump() for finding in found.values()])
        assert not [secret for secret in [*secrets, "secret-of-the-hub"] if secret in told]


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What `inset` reads, for the settings of this test."""
    monkeypatch.setenv("INSET_PUBLIC_URL", settings.public_url)
    monkeypatch.setenv("INSET_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("INSET_SIGNING_KEY_FILE", str(settings.signing_key_file))
    monkeypatch.setenv("INSET_HUB__TOKEN", SERVICE_TOKEN)
    monkeypatch.setenv("INSET_HUB__API_URL", settings.hub.api_url)
    monkeypatch.setenv("INSET_HUB__PROXY_URL", settings.hub.proxy_url)
    monkeypatch.setenv("INSET_HUB__SEATS", "3")
    return monkeypatch


async def test_the_command_prints_a_list_and_tells_by_its_exit_code(environment, capsys):
    assert await asyncio.to_thread(main, ["doctor"]) == 0
    good = capsys.readouterr().out
    environment.setenv("INSET_HUB__SEATS", "4")
    assert await asyncio.to_thread(main, ["doctor"]) == 1
    bad = capsys.readouterr().out

    assert "✓ The hub answers: JupyterHub 6.1.1." in good
    assert "✗ The service takes 4 seats and finds 3 at the hub. Sessions in the others fail. [seats-missing]" in bad
    assert "\n    → Let INSET_HUB__SEATS here" in bad
    assert "\x1b" not in good + bad


async def test_the_command_prints_json(environment, capsys):
    assert await asyncio.to_thread(main, ["doctor", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert {"code": "seats", "level": "ok", "message": "The hub has all 3 seats, up to seat-003.", "fix": None} in found


async def test_the_service_does_not_start_where_seats_share_an_origin(environment, hub, capsys):
    hub.isolated = False

    assert await asyncio.to_thread(main, ["serve"]) == 2

    told = capsys.readouterr().err
    assert "INSET_ISOLATION=on" in told
    assert "INSET_ALLOW_SHARED_ORIGIN=1" in told
    assert len(told.strip().splitlines()) == 1


# -- the endpoint --------------------------------------------------------------------------------


async def test_a_hosts_backend_is_told_of_the_deployment_and_of_itself_alone(anonymous, host, other_host):
    answer = await anonymous.get("/v1/doctor", headers=host.backend_bearer("ada"))

    assert answer.status_code == 200
    findings = {finding["code"]: finding for finding in answer.json()["findings"]}
    assert findings["seats"]["level"] == "ok"
    assert findings["hosts"]["message"].startswith("1 host")
    assert other_host.origins[0] not in answer.text


async def test_a_host_is_told_nothing_of_anothers_server(anonymous, other_host, ready_session):
    await ready_session()

    answer = await anonymous.get("/v1/doctor", headers=other_host.backend_bearer("ada"))

    findings = {finding["code"]: finding for finding in answer.json()["findings"]}
    assert findings["websocket"]["level"] == findings["framing"]["level"] == "skipped"


async def test_a_user_is_told_nothing(client):
    answer = await client.get("/v1/doctor")

    assert answer.status_code == 403
    assert problem(answer) == "backend-only"


@asynccontextmanager
async def _https(folder: Path, name: str, *, days: int = 90) -> AsyncIterator[int]:
    """Serve something by https, with a certificate for one name that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Inset's tests")])
    made = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(made)
    builder = builder.not_valid_after(made + timedelta(days=days))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate, private = folder / "certificate.pem", folder / "private.pem"
    certificate.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    async with served(Starlette(), ssl_certfile=str(certificate), ssl_keyfile=str(private)) as url:
        yield int(url.rpartition(":")[2])
