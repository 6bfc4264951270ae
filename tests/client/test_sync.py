"""The sync client, whose every line is made from the async one's: one story through all of it."""

import pytest
from jose import jwt

from inset_client import Inset, SessionFailed
from tests.client.conftest import QUICK
from tests.service.conftest import document
from tests.support.key_pairs import KeyPair


def test_a_story_without_await(access, name) -> None:
    with Inset(**access) as inset:
        user = inset.as_user(name)
        made = user.notebooks.create("Analysis", document("1"))
        user.notebooks.replace(made.id, document("2"), base=1)
        assert [version.number for version in user.notebooks.versions(made.id)] == [2, 1]
        with user.notebooks.stream_content(made.id, 1) as stream:
            assert b"".join(stream.chunks) == user.notebooks.content(made.id, 1).body

        session = user.sessions.open(made.id)
        assert user.sessions.wait_until_ready(session.id).version == 2
        user.sessions.close(session.id)
        assert [event.kind for event in user.sessions.follow(session.id)][-1] == "ended"
        with pytest.raises(SessionFailed):
            user.sessions.wait_until_ready(session.id)

        assert inset.verify_receipt(made.receipt).notebook == made.id
        assert "notebook.created" in {act.action for act in inset.audit(user=name)}


def test_it_signs_with_private_keys_as_well(access, name) -> None:
    pair = KeyPair.new("demo-2")
    with Inset(
        access["url"], issuer="demo", key_id="demo-2", key=pair.private_pem, algorithm="ES256", retries=QUICK
    ) as inset:
        token = inset.token(name, may=["run"])

    claims = jwt.decode(token, pair.public_pem, algorithms=["ES256"], audience=access["url"], issuer="demo")
    assert (claims["sub"], claims["may"]) == (name, ["run"])
    assert claims["exp"] - claims["iat"] == 300
