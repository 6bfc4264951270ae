"""The service's own keys are changed by starting it anew: what that ends, and that everybody finds back in."""

import httpx

from inset.cli import main
from tests.service.conftest import document, problem, running_service, until


async def test_another_signing_key_ends_tickets_and_credentials_and_no_session(settings, hub, host, tmp_path):
    async with running_service(settings, hub, **host.bearer("ada")) as before:
        notebook = (await before.post("/v1/notebooks", json={"name": "N", "content": document("1")})).json()
        session = (await before.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        await until(before, session["id"], "ready")
        signed = (await before.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
        old_credential = await hub.credential()
    new = tmp_path / "new-signing.pem"
    main(["keygen", str(new)])
    changed = settings.model_copy(update={"signing_key_file": new})

    async with running_service(changed, hub, **host.bearer("ada")) as after:
        again = (await after.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
        entered = [
            await _redeem(hub, url, credential)
            for url, credential in (
                (again, old_credential),
                (signed, await hub.credential()),
                (again, await hub.credential()),
            )
        ]
        saved = await after.post(f"/v1/sessions/{session['id']}/save")
        kids = [key["kid"] for key in (await after.get("/.well-known/jwks.json")).json()["keys"]]

    # A bridge that is refused asks for another credential by its hub token, and sends the same again.
    assert problem(entered[0]) == "unknown-server"
    # The page's frame asks for another URL.
    assert problem(entered[1]) == "ticket-invalid"
    assert entered[2].status_code == 200
    assert saved.status_code == 200
    assert len(kids) == 1


async def _redeem(hub, url, credential) -> httpx.Response:
    ticket = url.partition("#ticket=")[2]
    return await hub.service.post("/bridge/v1/tickets/redeem", json={"ticket": ticket}, headers=credential)
