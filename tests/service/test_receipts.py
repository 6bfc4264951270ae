"""The proof of a save: signed, for ever, and good for nothing else."""

import hashlib
import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from jose import JOSEError, jws, jwt

from inset.errors import TicketInvalid, UnknownServer
from inset.signing import Signer
from tests.service.conftest import document, problem
from tests.support.hosts import AUDIENCE
from tests.support.real_hub import ROOT

LIST = "/v1/notebooks"


@pytest.fixture
def verified(client):
    """Verify a receipt as `docs/receipts.md` says; gives its facts."""
    text = (ROOT / "docs" / "receipts.md").read_text().replace("https://inset.example", AUDIENCE)
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)

    async def verify(receipt):
        return names["verified"](receipt, (await client.get("/.well-known/jwks.json")).json())

    return verify


async def test_every_save_of_a_host_is_answered_with_a_receipt(client, new_notebook, verified):
    created = await new_notebook(content=document("1"))
    path = f"{LIST}/{created['id']}"
    replaced = await client.put(f"{path}/content", json=document("2"), headers={"If-Match": '"1"'})
    equal = await client.put(f"{path}/content", json=document("2"), headers={"If-Match": '"2"'})
    restored = await client.post(f"{path}/versions/1/restore")

    for number, answer in ((1, created), (2, replaced.json()), (2, equal.json()), (3, restored.json())):
        facts = await verified(answer["receipt"])
        content = (await client.get(f"{path}/versions/{number}/content")).content
        assert abs(facts.pop("iat") - time.time()) < 60
        assert facts == {
            "iss": AUDIENCE,
            "aud": "inset-receipt",
            "host": "demo",
            "user": "ada",
            "notebook": created["id"],
            "version": number,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }


async def test_every_save_from_a_server_is_answered_with_a_receipt(
    client, hub, anonymous, new_notebook, ready_session, verified
):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    credential = await hub.credential()
    content = json.dumps(document("saved in Jupyter")).encode()

    by_host = await client.post(f"/v1/sessions/{session['id']}/save")
    by_bridge = await anonymous.put(
        f"/bridge/v1/notebooks/{notebook['id']}/content", content=content, headers={**credential, "If-Match": '"1"'}
    )
    made = await anonymous.post("/bridge/v1/notebooks", content=content, headers={**credential, "Inset-Name": "New"})

    assert (await verified(by_bridge.json()["receipt"]))["sha256"] == hashlib.sha256(content).hexdigest()
    assert (await verified(made.json()["receipt"]))["notebook"] == made.json()["notebook_id"]
    assert (await verified(by_host.json()["receipt"]))["version"] == by_host.json()["version"]


async def test_a_receipt_can_be_had_at_any_time_and_says_the_same(client, host, new_notebook, verified):
    notebook = await new_notebook()
    path = f"{LIST}/{notebook['id']}/versions"

    answer = await client.get(f"{path}/1/receipt")

    assert await verified(answer.json()["receipt"]) == await verified(notebook["receipt"])
    assert problem(await client.get(f"{path}/2/receipt")) == "version-not-found"
    assert problem(await client.get(f"{path}/1/receipt", headers=host.bearer("grace"))) == "notebook-not-found"


async def test_the_key_is_published_under_its_thumbprint(anonymous, client, new_notebook):
    answer = await anonymous.get("/.well-known/jwks.json")

    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    [key] = answer.json()["keys"]
    assert set(key) == {"kid", "kty", "crv", "alg", "use", "x", "y"}, "and nothing private"
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{key["x"]}","y":"{key["y"]}"}}'
    thumbprint = urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
    header = jwt.get_unverified_header((await new_notebook())["receipt"])
    assert header == {"alg": "ES256", "kid": thumbprint, "typ": "inset-receipt+jwt"}
    assert key["kid"] == thumbprint


async def test_a_changed_receipt_is_refused(client, new_notebook, verified):
    header, claims, signature = (await new_notebook())["receipt"].split(".")
    facts = json.loads(urlsafe_b64decode(claims + "=="))
    forged = urlsafe_b64encode(json.dumps({**facts, "version": 7}).encode()).decode().rstrip("=")

    for receipt in (f"{header}.{forged}.{signature}", f"{header}.{claims}.", f"{header}.{claims}.{signature[:-4]}AAAA"):
        with pytest.raises(JOSEError):
            await verified(receipt)


async def test_a_receipt_opens_nothing(client, anonymous, hub, host, new_notebook, ready_session):
    notebook = await new_notebook()
    await ready_session(notebook)
    bearer = {"Authorization": f"Bearer {notebook['receipt']}"}
    redeem = "/bridge/v1/tickets/redeem"

    as_caller = await client.get(LIST, headers=bearer)
    as_credential = await anonymous.post(redeem, json={"ticket": "x"}, headers=bearer)
    as_ticket = await anonymous.post(redeem, json={"ticket": notebook["receipt"]}, headers=await hub.credential())

    assert problem(as_caller) == "token-unknown-issuer"
    assert problem(as_credential) == "unknown-server"
    assert problem(as_ticket) == "ticket-invalid"


async def test_a_ticket_and_a_credential_are_no_receipts(client, hub, ready_session, verified):
    session = await ready_session()
    url = (await client.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
    credential = (await hub.credential())["Authorization"].removeprefix("Bearer ")

    for token in (url.partition("#ticket=")[2], credential):
        with pytest.raises(JOSEError):
            await verified(token)


@pytest.mark.parametrize("audience", ["inset-ticket", "inset-bridge"])
def test_not_even_the_services_own_key_makes_a_receipt_anything_else(settings, audience):
    pem = settings.signing_key_file.read_bytes()
    claims = {"aud": audience, "sub": "v1", "sid": "s1", "ui": "notebook", "jti": "j", "exp": int(time.time()) + 60}
    signer = Signer(pem)
    assert jws.verify(jwt.encode(claims, pem.decode(), "ES256"), signer.jwk.model_dump(), "ES256")

    typed = signer.receipt(claims)

    with pytest.raises(TicketInvalid):
        signer.read_ticket(typed)
    with pytest.raises(UnknownServer):
        signer.read_credential(typed)
