"""Keys that a host application publishes as a JWK set, in front of a real server that does so."""

import asyncio
import dataclasses
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode

import httpx
import pytest

from inset.db import open_database
from inset.errors import KeysUnavailable
from inset.hosts import apply_hosts
from inset.jwks import JwksCache
from tests.service.conftest import problem
from tests.support.hosts import AUDIENCE, TestHost, write_hosts_file
from tests.support.key_pairs import KeyPair, KeyServer
from tests.support.serving import served

LIST = "/v1/notebooks"


@pytest.fixture(scope="module")
def pairs():
    return {"first": KeyPair.new("first"), "second": KeyPair.new("second", "RS256"), "third": KeyPair.new("third")}


@pytest.fixture
def publisher(pairs):
    return KeyServer(pairs["first"])


@pytest.fixture
async def jwks_url(publisher):
    async with served(publisher) as url:
        yield f"{url}/jwks.json"


@pytest.fixture
async def published(settings, jwks_url, tmp_path, pairs):
    """A host application that publishes its keys, registered; gives it as it signs with one of them."""

    def signing_with(pair: KeyPair) -> TestHost:
        return TestHost(
            id="published",
            kid=pair.kid,
            alg=pair.alg,
            signing_key=pair.private_pem,
            registration={"jwks_url": jwks_url},
            listed=False,
        )

    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "jwks.toml", signing_with(pairs["first"])))
    return signing_with


@pytest.fixture
async def impatient():
    """A cache that may ask an address again after a hundredth of a second."""
    async with httpx.AsyncClient() as http:
        yield JwksCache(http, interval_seconds=0.01)


async def test_a_published_key_verifies_and_is_fetched_once(anonymous, published, publisher, pairs):
    host = published(pairs["first"])

    answers = await asyncio.gather(*[anonymous.get(LIST, headers=host.bearer()) for _ in range(20)])

    assert {answer.status_code for answer in answers} == {200}
    assert publisher.asked == 1


async def test_a_published_key_is_rotated_without_a_gap(impatient, publisher, jwks_url, pairs):
    assert await impatient.find("h", jwks_url, "first")
    publisher.keys.append(pairs["second"].jwk)
    await asyncio.sleep(0.02)  # the shortest time between two questions

    second = await impatient.find("h", jwks_url, "second")
    assert second
    assert (second.alg, second.key) == ("RS256", pairs["second"].public_pem)
    assert await impatient.find("h", jwks_url, "first"), "both are good in between"

    publisher.keys = [pairs["second"].jwk]
    publisher.headers = {"Cache-Control": "no-cache"}
    async with asyncio.timeout(5):
        while await impatient.find("h", jwks_url, "first"):
            await asyncio.sleep(0.01)
            await impatient.find("h", jwks_url, "nobody's")  # has it looked up anew
    assert await impatient.find("h", jwks_url, "second")


async def test_tokens_with_unknown_keys_do_not_flood_the_address(anonymous, published, publisher, pairs):
    assert (await anonymous.get(LIST, headers=published(pairs["first"]).bearer())).status_code == 200
    strangers = [dataclasses.replace(published(pairs["third"]), kid=f"unknown-{number}") for number in range(40)]

    answers = await asyncio.gather(*[anonymous.get(LIST, headers=host.bearer()) for host in strangers])

    assert {problem(answer) for answer in answers} == {"token-unknown-issuer"}
    assert publisher.asked == 1


async def test_while_the_address_fails_known_keys_stay_good_and_others_are_not_refused_for_good(
    impatient, publisher, jwks_url
):
    publisher.headers = {"Cache-Control": "max-age=0"}
    assert await impatient.find("h", jwks_url, "first")
    publisher.status = 500
    await asyncio.sleep(0.02)

    with pytest.raises(KeysUnavailable):
        await impatient.find("h", jwks_url, "second")
    assert await impatient.find("h", jwks_url, "first")


async def test_an_address_that_goes_on_failing_is_asked_less_and_less(impatient, publisher, jwks_url):
    publisher.status = 500
    began, asked_at = time.monotonic(), []
    while len(asked_at) < 6:
        before = publisher.asked
        with pytest.raises(KeysUnavailable):
            await impatient.find("h", jwks_url, "first")
        if publisher.asked > before:
            asked_at.append(time.monotonic() - began)
        await asyncio.sleep(0.002)

    # 1, 2, 4, 8 and 16 hundredths of a second between them, at the least.
    assert asked_at[-1] - asked_at[0] >= 0.3

    publisher.status = 200
    async with asyncio.timeout(5):
        while True:
            try:
                assert await impatient.find("h", jwks_url, "first")
                break
            except KeysUnavailable:
                await asyncio.sleep(0.01)


async def test_without_any_key_the_answer_is_try_again_and_not_who_are_you(anonymous, published, publisher, pairs):
    publisher.status = 503

    answer = await anonymous.get(LIST, headers=published(pairs["first"]).bearer())

    assert (answer.status_code, problem(answer)) == (503, "keys-unavailable")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_silent_address_holds_up_neither_known_keys_nor_other_hosts(
    anonymous, host, published, publisher, pairs, impatient, jwks_url
):
    publisher.headers = {"Cache-Control": "max-age=0"}
    assert await impatient.find("h", jwks_url, "first")
    publisher.answering.clear()
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(impatient.find("h", jwks_url, "second"))
    unanswered = asyncio.create_task(anonymous.get(LIST, headers=published(pairs["first"]).bearer()))
    async with asyncio.timeout(5):
        while publisher.asked < 3:
            await asyncio.sleep(0.01)

    assert await impatient.find("h", jwks_url, "first")
    made = await anonymous.post(LIST, json={"name": "Meanwhile"}, headers=host.bearer())

    assert made.status_code == 201, "no transaction is held while the address is asked"
    assert not waiting.done()
    assert not unanswered.done()
    publisher.answering.set()
    assert await waiting is None
    assert (await unanswered).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200),
        (b"[]", 200),
        (b'{"keys": 7}', 200),
        (b'{"keys": [7]}', 200),
        (b"[" * 100_000, 200),
        (b'{"keys": [], "x": "' + b"x" * 300_000 + b'"}', 200),
        (b"", 204),
        (b"", 404),
    ],
)
async def test_what_is_no_key_set_is_not_taken_for_one(impatient, publisher, jwks_url, body, status):
    publisher.body, publisher.status = body, status

    with pytest.raises(KeysUnavailable):
        await impatient.find("h", jwks_url, "first")


async def test_a_redirect_is_not_followed(impatient, publisher, jwks_url, pairs):
    elsewhere = KeyServer(pairs["first"])
    async with served(elsewhere) as url:
        publisher.status, publisher.headers = 302, {"Location": f"{url}/jwks.json"}
        with pytest.raises(KeysUnavailable):
            await impatient.find("h", jwks_url, "first")
    assert elsewhere.asked == 0


def _b64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": _b64(b"a secret of more than thirty-two characters"), "alg": "HS256"},
        {"kty": "oct", "k": _b64(b"a secret of more than thirty-two characters")},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "RS256"},
        {"use": "enc"},
        {"crv": "P-384"},
        {"crv": None},
        {"x": "AAAA"},
        {"x": "é"},
        {"d": "published-too"},
        {"kid": ""},
        {"kid": None},
        {"kid": ["first"]},
    ],
    ids=str,
)
async def test_a_published_key_that_is_not_fit_is_passed_over_and_the_others_are_not(
    impatient, publisher, jwks_url, pairs, change
):
    publisher.keys = [{**pairs["first"].jwk, **change}, pairs["third"].jwk]

    assert await impatient.find("h", jwks_url, "third")
    assert await impatient.find("h", jwks_url, "first") is None


async def test_a_small_rsa_key_is_passed_over(impatient, publisher, jwks_url):
    publisher.keys = [KeyPair.new("small", "RS256", bits=1024).jwk]

    assert await impatient.find("h", jwks_url, "small") is None


@pytest.mark.parametrize("which", ["first", "second"])
async def test_a_published_key_is_never_taken_for_a_secret(anonymous, published, publisher, pairs, which):
    pair = pairs[which]
    publisher.keys = [pair.jwk]
    assert (await anonymous.get(LIST, headers=published(pair).bearer())).status_code == 200
    header = _b64(json.dumps({"alg": "HS256", "kid": pair.kid}).encode())
    claims = _b64(json.dumps({"iss": "published", "aud": AUDIENCE, "sub": "a", "exp": time.time() + 60}).encode())
    for secret in (pair.public_pem.encode(), json.dumps(pair.jwk).encode()):
        signature = _b64(hmac.new(secret, f"{header}.{claims}".encode(), hashlib.sha256).digest())
        forged = {"Authorization": f"Bearer {header}.{claims}.{signature}"}
        assert problem(await anonymous.get(LIST, headers=forged)) == "token-algorithm"


async def test_one_hosts_published_keys_do_not_speak_for_another(anonymous, published, host, pairs):
    assert (await anonymous.get(LIST, headers=published(pairs["first"]).bearer())).status_code == 200

    forged = dataclasses.replace(published(pairs["first"]), id=host.id)

    assert problem(await anonymous.get(LIST, headers=forged.bearer())) == "token-unknown-issuer"
