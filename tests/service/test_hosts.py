"""The registry of host applications, through the `inset` command."""

import dataclasses
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.service.conftest import problem, running_service, until
from tests.support.hosts import TestHost, write_hosts_file
from tests.support.key_pairs import KeyPair, KeyServer
from tests.support.serving import served

SECRET = "a secret of more than thirty-two characters"


def public(key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (TestHost(id="Bad Id", signing_key=SECRET), "id: String should match pattern"),
        (TestHost(signing_key="short"), "at least 32 characters"),
        (TestHost(signing_key=public(ec.generate_private_key(ec.SECP256R1()))), "anybody could sign with it"),
        (TestHost(alg="ES256", signing_key="no key at all"), "cannot be read as one"),
        (TestHost(alg="ES256", signing_key=public(rsa.generate_private_key(65537, 2048))), "curve P-256"),
        (TestHost(alg="ES256", signing_key=public(ec.generate_private_key(ec.SECP384R1()))), "curve P-256"),
        (TestHost(alg="RS256", signing_key=public(rsa.generate_private_key(65537, 1024))), "at least 2048 bits"),
        (TestHost(alg="none", signing_key=SECRET), "alg: Input should be"),
        (TestHost(signing_key=SECRET, origins=("https://*.example",)), "wildcards"),
        (TestHost(signing_key=SECRET, origins=("https://app.example/",)), "not an exact origin"),
        (TestHost(signing_key=SECRET, origins=("https://App.example",)), "small letters"),
        (TestHost(signing_key=SECRET, origins=("https://app.example:443",)), "default port"),
        (TestHost(signing_key=SECRET, origins=()), "origins"),
    ],
)
async def test_a_host_that_could_not_work_is_refused_in_one_line(command, tmp_path, bad, reason):
    code, _, errors = await command("hosts", "apply", str(write_hosts_file(tmp_path / "bad.toml", bad)))

    assert code == 2
    assert reason in errors
    assert len(errors.strip().splitlines()) == 1


async def test_a_host_that_is_turned_away_is_gone_at_once_and_its_sessions_end_saved(
    command, client, host, ready_session, tmp_path
):
    session = await ready_session()

    code, printed, _ = await command("hosts", "remove", host.id)

    assert (code, printed.strip()) == (0, "turned away demo")
    assert problem(await client.get("/v1/notebooks")) == "token-unknown-issuer"
    _, listed, _ = await command("hosts", "list")
    assert "demo\t\tno key: turned away" in listed

    # Registered again, it finds everything as it was left.
    await command("hosts", "apply", str(write_hosts_file(tmp_path / "again.toml", host)))
    assert (await until(client, session["id"], "ended"))["ending_reason"] == "revoked"


async def test_a_host_that_nobody_knows_cannot_be_turned_away(command):
    code, _, errors = await command("hosts", "remove", "nobody")

    assert (code, errors.strip()) == (2, "inset: no host application is registered as 'nobody'")


async def test_a_key_is_rotated_without_a_gap(command, client, host, tmp_path):
    new = TestHost(kid="demo-2", signing_key=SECRET)
    both = write_hosts_file(tmp_path / "both.toml", host)
    both.write_text(both.read_text() + f'[[hosts.keys]]\nkid = "demo-2"\nalg = "HS256"\nkey = "{SECRET}"\n')
    await command("hosts", "apply", str(both))
    for key in (host, new):
        assert (await client.get("/v1/notebooks", headers=key.bearer())).status_code == 200

    await command("hosts", "apply", str(write_hosts_file(tmp_path / "new.toml", new)))

    assert problem(await client.get("/v1/notebooks", headers=host.bearer())) == "token-unknown-issuer"
    assert (await client.get("/v1/notebooks", headers=new.bearer())).status_code == 200


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("INSET_DATABASE_URL", "nonsense", "Could not parse SQLAlchemy URL"),
        ("INSET_PUBLIC_URL", "ftp://x", "must be an http or https URL"),
        ("INSET_SIGNING_KEY_FILE", "/nowhere/key.pem", "No such file"),
        ("INSET_IDLE_TIMEOUT", "soon", "idle_timeout"),
    ],
)
async def test_a_wrong_setting_is_told_in_one_line(command, monkeypatch, variable, value, reason):
    monkeypatch.setenv(variable, value)

    code, _, errors = await command("serve")

    assert code == 2
    assert reason in errors
    assert len(errors.strip().splitlines()) == 1


async def test_the_service_does_not_start_on_a_database_that_was_not_upgraded(command, monkeypatch, tmp_path):
    monkeypatch.setenv("INSET_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/new.db")

    code, _, errors = await command("serve")

    assert (code, errors.strip()) == (
        2,
        "inset: the database is not at the newest schema: run `inset db upgrade` first",
    )


async def test_a_secret_is_rotated_at_every_replica_without_a_restart(command, settings, hub, host):
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        old = host.bearer()
        for replica in (one, two):
            assert (await replica.get("/v1/notebooks", headers=old)).status_code == 200

        code, secret, _ = await command("hosts", "rotate", "demo", "--kid", "demo-2")
        rotated_at = time.monotonic()

        assert code == 0
        new = TestHost(kid="demo-2", signing_key=secret.strip())
        for replica in (one, two):
            for bearer in (new.bearer(), old):
                assert (await replica.get("/v1/notebooks", headers=bearer)).status_code == 200
        assert time.monotonic() - rotated_at < 5
        _, listed, _ = await command("hosts", "list")
        assert "demo-1 (HS256), demo-2 (HS256)" in listed
        assert secret.strip() not in listed, "it is told once"

        code, printed, _ = await command("hosts", "rotate", "demo", "--retire", "demo-1")

        retired_at = time.monotonic()
        assert (code, printed.strip()) == (0, "retired demo-1")
        for replica in (one, two):
            assert problem(await replica.get("/v1/notebooks", headers=old)) == "token-unknown-issuer"
            assert (await replica.get("/v1/notebooks", headers=new.bearer())).status_code == 200
        assert time.monotonic() - retired_at < 5


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
async def test_a_host_rotates_to_a_public_key(command, anonymous, tmp_path, alg):
    pair = KeyPair.new("public", alg)
    (tmp_path / "public.pem").write_text(pair.public_pem)

    code, printed, _ = await command(
        "hosts", "rotate", "demo", "--kid", "public", "--alg", alg, "--key-file", str(tmp_path / "public.pem")
    )

    assert (code, printed.strip()) == (0, "added public")
    signing = TestHost(kid="public", alg=alg, signing_key=pair.private_pem)
    assert (await anonymous.get("/v1/notebooks", headers=signing.bearer())).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody", "--kid", "new"], "no host application is registered as 'nobody'"),
        (["demo", "--kid", "demo-1"], "already"),
        (["demo", "--kid", "new", "--alg", "ES256"], "take the PEM of a public key from a file"),
        (["demo", "--kid", "new", "--key-file", "FILE"], "HS256 makes a new secret"),
        (["demo", "--kid", "new", "--alg", "ES256", "--key-file", "FILE"], "cannot be read as one"),
        (["demo", "--kid", "new", "--alg", "ES256", "--key-file", "/nowhere"], "No such file"),
        (["demo", "--retire", "demo-1"], "the last key of demo"),
        (["demo", "--retire", "demo-9"], "demo has no key 'demo-9'"),
    ],
)
async def test_a_rotation_that_can_not_be_meant_is_refused(command, client, tmp_path, arguments, reason):
    (tmp_path / "no.pem").write_text("no key")
    given = [str(tmp_path / "no.pem") if argument == "FILE" else argument for argument in arguments]

    code, printed, errors = await command("hosts", "rotate", *given)

    assert (code, printed) == (2, "")
    assert reason in errors
    assert (await client.get("/v1/notebooks")).status_code == 200


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://app.example/jwks.json", True),
        ("http://127.0.0.1:8000/jwks", True),
        ("http://[::1]/jwks", True),
        ("http://localhost/jwks", True),
        ("http://app.example/jwks.json", False),
        ("http://127.0.0.1.app.example/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://app example/jwks", False),
        ("jwks.json", False),
    ],
)
async def test_keys_are_fetched_only_from_where_nobody_else_can_answer(command, tmp_path, url, fits):
    host = TestHost(id="published", listed=False, registration={"jwks_url": url})

    code, _, errors = await command("hosts", "apply", str(write_hosts_file(tmp_path / "jwks.toml", host)))

    assert code == (0 if fits else 2)
    assert ("write https" in errors) is not fits


async def test_a_host_needs_a_key_or_an_address_of_keys(command, tmp_path):
    host = TestHost(id="keyless", listed=False)

    code, _, errors = await command("hosts", "apply", str(write_hosts_file(tmp_path / "none.toml", host)))

    assert code == 2
    assert "needs `keys` or a `jwks_url`" in errors


async def test_a_list_of_hosts_says_what_each_may_and_has(command, host, tmp_path):
    registration = {
        "jwks_url": "https://app.example/jwks", "may": ["edit", "run"],
        "limits.sessions": 5, "limits.notebook_size": "20 MB",
    }  # fmt: skip
    limited = dataclasses.replace(host, registration=registration)
    await command("hosts", "apply", str(write_hosts_file(tmp_path / "limited.toml", limited)))

    _, listed, _ = await command("hosts", "list")

    ours, other = sorted(listed.splitlines())
    assert ours.split("\t") == [
        "demo", "http://localhost:8090", "demo-1 (HS256), those at https://app.example/jwks", "may edit, run",
        "at most sessions 5, notebook_size 20000000",
    ]  # fmt: skip
    assert other.split("\t")[3:] == ["may edit, run, download, terminals", "no limits"]


async def test_a_host_that_is_turned_away_has_no_published_keys_either(command, anonymous, settings, tmp_path):
    pair = KeyPair.new("first")
    publisher = KeyServer(pair)
    async with served(publisher) as url:
        host = TestHost(
            id="published", kid="first", alg="ES256", signing_key=pair.private_pem, listed=False,
            registration={"jwks_url": url},
        )  # fmt: skip
        await command("hosts", "apply", str(write_hosts_file(tmp_path / "jwks.toml", host)))
        assert (await anonymous.get("/v1/notebooks", headers=host.bearer())).status_code == 200

        await command("hosts", "remove", "published")

        assert problem(await anonymous.get("/v1/notebooks", headers=host.bearer())) == "token-unknown-issuer"
