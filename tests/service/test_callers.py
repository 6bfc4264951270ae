"""Who may call: JWTs as hosts sign them, and as they must not."""

import base64
import json
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from inset.db import open_database
from inset.hosts import apply_hosts
from tests.service.conftest import problem
from tests.support.hosts import TestHost, write_hosts_file

LIST = "/v1/notebooks"


async def test_a_hosts_user_is_known_by_his_jwt(anonymous, host):
    assert (await anonymous.get(LIST, headers=host.bearer("ada"))).status_code == 200


async def test_a_hosts_backend_acts_for_a_user(anonymous, host):
    made = await anonymous.post(LIST, json={"name": "From the backend"}, headers=host.backend_bearer("ada"))

    assert made.status_code == 201
    seen = await anonymous.get(LIST, headers=host.bearer("ada"))
    assert [item["id"] for item in seen.json()["items"]] == [made.json()["id"]]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": timedelta(seconds=-60)}, "token-expired"),
        ({"exp": timedelta(hours=1)}, "token-lifetime"),
        ({"nbf": timedelta(minutes=5)}, "token-lifetime"),
        ({"iat": timedelta(minutes=5)}, "token-lifetime"),
        ({"aud": "http://somebody.example"}, "token-audience"),
        ({"aud": ["http://somebody.example"]}, "token-audience"),
        ({"aud": None}, "token-claims"),
        ({"exp": None}, "token-claims"),
        ({"exp": "soon"}, "token-claims"),
        ({"exp": float("inf")}, "token-claims"),
        ({"sub": None}, "token-claims"),
        ({"sub": ""}, "token-claims"),
        ({"sub": "a\nb"}, "token-claims"),
        ({"sub": "x" * 256}, "token-claims"),
        ({"sub": 7}, "token-claims"),
        ({"sub": "demo"}, "token-claims"),
        ({"act_for": "grace"}, "token-claims"),
        ({"sub": "demo", "act_for": ""}, "token-claims"),
        ({"iss": None}, "token-unknown-issuer"),
        ({"iss": "nobody"}, "token-unknown-issuer"),
        ({"iss": ["demo"]}, "token-unknown-issuer"),
        ({"iss": "\ud800"}, "token-unknown-issuer"),
    ],
)
async def test_a_token_that_says_something_wrong_is_refused_with_what_it_is(anonymous, host, claims, expected):
    # Times are of the moment of the test, not of when it was collected.
    claims = {
        name: int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    if claims.get("sub") == 7 or claims.get("iss") in (["demo"], "\ud800") or claims.get("exp") == "soon":
        # python-jose would not sign such a token; an attacker's library would.
        token = _signed_by_hand(
            host, {"iss": "demo", "aud": "http://localhost:8091", "sub": "a", "exp": time.time() + 60, **claims}
        )
    else:
        token = host.token(**claims)

    answer = await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert problem(answer) == expected
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_one_host_does_not_speak_for_another(anonymous, host, other_host):
    token = host.token(iss=other_host.id)
    assert problem(await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}"})) == "token-unknown-issuer"

    forged = TestHost(id=other_host.id, kid=other_host.kid, signing_key=host.signing_key)
    assert problem(await anonymous.get(LIST, headers=forged.bearer())) == "token-signature"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic YTpi", "token x"])
async def test_without_a_bearer_token_nothing_is_told(anonymous, authorization):
    headers = {"Authorization": authorization} if authorization is not None else {}
    assert problem(await anonymous.get(LIST, headers=headers)) == "token-missing"


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.", "..", "é.é.é".encode().decode("latin-1")])
async def test_what_is_no_jwt_is_refused(anonymous, token):
    answer = await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}".encode("latin-1")})
    assert answer.status_code == 401
    assert problem(answer) in ("token-malformed", "token-unknown-issuer")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS384", "RS256", "ES256"])
async def test_a_token_does_not_choose_how_it_is_checked(anonymous, host, alg):
    claims = {"iss": "demo", "aud": "http://localhost:8091", "sub": "ada", "exp": int(time.time()) + 60}
    token = f"{_b64({'alg': alg, 'kid': 'demo-1'})}.{_b64(claims)}."

    assert problem(await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}"})) == "token-algorithm"


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
async def test_a_public_key_verifies_and_is_never_taken_for_a_secret(anonymous, settings, tmp_path, alg):
    private = rsa.generate_private_key(65537, 2048) if alg == "RS256" else ec.generate_private_key(ec.SECP256R1())
    private_pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    host = TestHost(id="pem", kid="pem-1", alg=alg, signing_key=private_pem, verification_key=public_pem)
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "pem.toml", host))

    assert (await anonymous.get(LIST, headers=host.bearer())).status_code == 200
    confused = _signed_by_hand(
        host, {"iss": "pem", "aud": "http://localhost:8091", "sub": "a", "exp": time.time() + 60}
    )
    assert problem(await anonymous.get(LIST, headers={"Authorization": f"Bearer {confused}"})) == "token-algorithm"


async def test_a_token_that_was_verified_before_is_refused_once_its_key_is_another(anonymous, settings, host, tmp_path):
    bearer = host.bearer("ada")
    assert [(await anonymous.get(LIST, headers=bearer)).status_code for _ in range(2)] == [200, 200]

    successor = TestHost(signing_key="another secret of the same name, longer than 32 characters")
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "successor.toml", successor))

    assert problem(await anonymous.get(LIST, headers=bearer)) == "token-signature"
    assert (await anonymous.get(LIST, headers=successor.bearer("ada"))).status_code == 200


async def test_a_token_of_thousands_of_brackets_is_refused(anonymous, host):
    nested = (
        f"{_b64({'alg': 'HS256', 'kid': 'demo-1'})}.{base64.urlsafe_b64encode(b'[' * 20_000).decode().rstrip('=')}.x"
    )

    assert problem(await anonymous.get(LIST, headers={"Authorization": f"Bearer {nested}"})) == "token-malformed"


async def test_somebody_elses_notebook_and_none_at_all_look_the_same(client, anonymous, host, other_host, new_notebook):
    id = (await new_notebook())["id"]
    for stranger in (host.bearer("grace"), other_host.bearer("ada")):
        theirs = await anonymous.get(f"/v1/notebooks/{id}", headers=stranger)
        none = await anonymous.get("/v1/notebooks/nothing", headers=stranger)
        assert theirs.status_code == none.status_code == 404
        # `instance` names the request.
        assert {**theirs.json(), "instance": None} == {**none.json(), "instance": None}
        for method, path in [
            ("GET", "/content"), ("PATCH", ""), ("DELETE", ""), ("GET", "/versions"), ("POST", "/undelete"),
            ("GET", "/versions/1/content"), ("POST", "/versions/1/restore"),
        ]:  # fmt: skip
            body = {"name": "mine now"} if method == "PATCH" else None
            answer = await anonymous.request(method, f"/v1/notebooks/{id}{path}", json=body, headers=stranger)
            assert problem(answer) == "notebook-not-found", (method, path)


async def test_the_hosts_pages_may_call_across_origins_and_no_others(anonymous, host, other_host):
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}

    ours = await anonymous.options(LIST, headers={"Origin": host.origins[0], **asked})
    assert ours.status_code == 200
    assert ours.headers["Access-Control-Allow-Origin"] == host.origins[0]
    answer = await anonymous.get(LIST, headers={"Origin": host.origins[0], **host.bearer()})
    assert answer.headers["Access-Control-Allow-Origin"] == host.origins[0]

    for origin in ("https://evil.example", "null", host.origins[0] + ".evil.example", "http://localhost:80901"):
        theirs = await anonymous.options(LIST, headers={"Origin": origin, **asked})
        assert "Access-Control-Allow-Origin" not in theirs.headers
        with_token = await anonymous.get(LIST, headers={"Origin": origin, **host.bearer()})
        assert problem(with_token) == "origin-not-allowed"
        assert "Access-Control-Allow-Origin" not in with_token.headers

    # Another host's page is registered, and still not this token's.
    crossed = await anonymous.get(LIST, headers={"Origin": other_host.origins[0], **host.bearer()})
    assert problem(crossed) == "origin-not-allowed"


def _signed_by_hand(host: TestHost, claims: dict) -> str:
    """Sign with HMAC whatever the key is: as an attacker does who takes a public key for a secret."""
    import hashlib
    import hmac

    key = (host.verification_key or host.signing_key).encode()
    payload = f"{_b64({'alg': 'HS256', 'kid': host.kid})}.{_b64(claims)}"
    signature = hmac.new(key, payload.encode(), hashlib.sha256).digest()
    return f"{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _b64(data: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")
