"""Where a page finds what it can fetch ahead while it waits for its notebook."""

import pytest

from tests.service.conftest import running_service, until

URL = "https://assets.nb.example/warm-up"


@pytest.mark.parametrize("set_to", ["https://assets.nb.example", "https://assets.nb.example/"])
async def test_a_page_that_waits_for_its_server_is_told_where_to_fetch_ahead(settings, hub, host, new_notebook, set_to):
    told = type(settings).model_validate({**settings.model_dump(), "assets_url": set_to})
    notebook = await new_notebook()
    async with running_service(told, hub, **host.bearer("ada")) as client:
        opened = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        ready = await until(client, opened["id"], "ready")

    assert (opened["state"], opened["warm_up_url"]) == ("queued", URL)
    assert ready["warm_up_url"] is None


async def test_without_such_a_place_there_is_nothing_to_fetch(client, new_notebook):
    notebook = await new_notebook()

    opened = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()

    assert opened["warm_up_url"] is None
