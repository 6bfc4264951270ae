"""What holds whichever replica is asked: nothing is redeemed or made twice, and no forged token passes."""

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import time

import pytest
from jose import jwt

from inset.db import open_database
from inset.hosts import apply_hosts
from tests.service.conftest import problem, running_service, until
from tests.support.hosts import AUDIENCE, TestHost, write_hosts_file
from tests.support.key_pairs import KeyPair, KeyServer
from tests.support.serving import served

LIST = "/v1/notebooks"
REDEEM = "/bridge/v1/tickets/redeem"


@pytest.fixture
async def replicas(settings, hub):
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        yield one, two


async def _ticket(client, bearer):
    notebook = (await client.post(LIST, json={"name": "N"}, headers=bearer)).json()
    opened = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)
    client.headers.update(bearer)
    session = await until(client, opened.json()["id"], "ready")
    answer = await client.post(f"/v1/sessions/{session['id']}/iframe-url")
    return answer.json()["url"].partition("#ticket=")[2]


@pytest.mark.each_database
async def test_a_ticket_that_one_replica_has_redeemed_is_refused_by_another(replicas, hub, host):
    one, two = replicas
    ticket = await _ticket(one, host.bearer())
    credential = await hub.credential()

    entered = await one.post(REDEEM, json={"ticket": ticket}, headers=credential)
    replayed = await two.post(REDEEM, json={"ticket": ticket}, headers=credential)

    assert entered.status_code == 200
    assert (replayed.status_code, problem(replayed)) == (403, "ticket-used")


@pytest.mark.each_database
async def test_a_ticket_that_comes_to_all_replicas_at_once_opens_one_page(replicas, hub, host):
    ticket = await _ticket(replicas[0], host.bearer())
    credential = await hub.credential()

    answers = await asyncio.gather(
        *[replica.post(REDEEM, json={"ticket": ticket}, headers=credential) for replica in replicas * 4]
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 7


@pytest.mark.each_database
async def test_an_idempotency_key_of_one_replica_answers_at_another(replicas, host):
    one, two = replicas
    headers = {**host.bearer(), "Idempotency-Key": "once"}

    made = await one.post(LIST, json={"name": "Once"}, headers=headers)
    again = await two.post(LIST, json={"name": "Once"}, headers=headers)
    another = await two.post(LIST, json={"name": "Twice"}, headers=headers)

    assert made.json() == again.json()
    assert problem(another) == "idempotency-key-reused"
    assert len((await two.get(LIST, headers=host.bearer())).json()["items"]) == 1


async def test_a_forged_token_passes_no_replica(replicas, host, other_host):
    good = host.token()
    header, claims, signature = good.split(".")
    forgeries = {
        "no signature": f"{header}.{claims}.",
        "alg none": f"{_b64({'alg': 'none', 'kid': host.kid})}.{claims}.",
        "alg none, signed": f"{_b64({'alg': 'none', 'kid': host.kid})}.{claims}.{signature}",
        "other claims": f"{header}.{_b64({'iss': host.id, 'aud': AUDIENCE, 'sub': 'grace', 'exp': 2e9})}.{signature}",
        "another host's key": dataclasses.replace(host, signing_key=other_host.signing_key).token(),
        "another host's kid": dataclasses.replace(host, kid=other_host.kid).token(),
        "another host's kid and key": dataclasses.replace(other_host, id=host.id).token(),
    }
    for replica in replicas:
        assert (await replica.get(LIST, headers={"Authorization": f"Bearer {good}"})).status_code == 200
        for name, token in forgeries.items():
            answer = await replica.get(LIST, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, name
            assert problem(answer) in ("token-algorithm", "token-signature", "token-unknown-issuer"), name


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
async def test_a_public_key_that_one_knows_signs_nothing_at_any_replica(replicas, settings, tmp_path, alg):
    pair = KeyPair.new("pem-1", alg)
    owner = TestHost(id="pem", kid="pem-1", alg=alg, signing_key=pair.private_pem, verification_key=pair.public_pem)
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "pem.toml", owner))
    claims = {"iss": "pem", "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 60}

    for replica in replicas:
        assert (await replica.get(LIST, headers=owner.bearer())).status_code == 200
        for said in ("HS256", alg):
            forged = _hmac({"alg": said, "kid": "pem-1"}, claims, pair.public_pem)
            answer = await replica.get(LIST, headers={"Authorization": f"Bearer {forged}"})
            assert problem(answer) == ("token-algorithm" if said == "HS256" else "token-signature")


@pytest.mark.parametrize(
    "kid",
    [
        "", "../demo-1", "demo-1/", "demo-1\x00", " demo-1", "DEMO-1", "/dev/null", "' OR '1'='1", "file:///dev/null",
        "other-1", None, 7, ["demo-1"], {"kid": "demo-1"}, True,
    ],
)  # fmt: skip
async def test_a_kid_is_a_name_and_nothing_else(anonymous, host, kid):
    claims = {"iss": host.id, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 60}
    for secret in (host.signing_key, ""):
        token = _hmac({"alg": "HS256", "kid": kid}, claims, secret)
        answer = await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, problem(answer)) == (401, "token-unknown-issuer")


async def test_a_token_brings_no_key_along(anonymous, host):
    pair = KeyPair.new("mine")
    published = KeyServer(pair)
    async with served(published) as url:
        for brought in ({"jku": f"{url}/jwks"}, {"x5u": f"{url}/x5u"}, {"jwk": pair.jwk}, {"x5c": ["AAAA"]}):
            for kid in ("mine", host.kid):
                forged = jwt.encode(
                    {"iss": host.id, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 60},
                    pair.private_pem,
                    algorithm="ES256",
                    headers={"kid": kid, **brought},
                )
                answer = await anonymous.get(LIST, headers={"Authorization": f"Bearer {forged}"})
                assert problem(answer) == ("token-unknown-issuer" if kid == "mine" else "token-algorithm")
            # Beside a signature that is right they mean nothing.
            honest = _hmac({"alg": "HS256", "kid": host.kid, **brought}, _claims(host), host.signing_key)
            assert (await anonymous.get(LIST, headers={"Authorization": f"Bearer {honest}"})).status_code == 200
    assert published.asked == 0


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "x", None])
async def test_a_token_that_must_be_understood_is_refused(anonymous, host, crit):
    token = _hmac({"alg": "HS256", "kid": host.kid, "crit": crit, "b64": False}, _claims(host), host.signing_key)

    assert problem(await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}"})) == "token-malformed"


async def test_of_many_audiences_one_must_be_ours_and_of_a_claim_said_twice_the_last_counts(anonymous, host):
    async def status(payload: str) -> int:
        token = _hmac({"alg": "HS256", "kid": host.kid}, payload, host.signing_key)
        return (await anonymous.get(LIST, headers={"Authorization": f"Bearer {token}"})).status_code

    rest = f'"iss": "demo", "sub": "ada", "exp": {int(time.time()) + 60}'
    ours, theirs = f'"aud": "{AUDIENCE}"', '"aud": "https://somebody.example"'
    assert await status(f'{{{rest}, "aud": ["{AUDIENCE}", "{AUDIENCE}", "https://somebody.example"]}}') == 200
    assert await status(f'{{{rest}, "aud": [["{AUDIENCE}"]]}}') == 401
    assert await status(f'{{{rest}, "aud": ["https://somebody.example", "{AUDIENCE}/"]}}') == 401
    assert await status(f"{{{rest}, {theirs}, {ours}}}") == 200
    assert await status(f"{{{rest}, {ours}, {theirs}}}") == 401
    # The issuer whose key verifies is the issuer that is believed, in whatever order.
    assert await status(f'{{"iss": "other", {rest}, {ours}}}') == 200
    assert await status(f'{{{rest}, {ours}, "iss": "other"}}') == 401


def _claims(host: TestHost) -> dict:
    return {"iss": host.id, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 60}


def _hmac(header: dict, claims: dict | str, secret: str) -> str:
    """Sign by hand what no library would."""
    payload = f"{_b64(header)}.{_b64(claims)}"
    signature = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()
    return f"{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _b64(data: dict | str) -> str:
    text = data if isinstance(data, str) else json.dumps(data)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
