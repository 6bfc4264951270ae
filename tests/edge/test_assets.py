"""The notebook interface's own files at the edge: anybody's, for good, compressed, and with no cookie."""

import gzip
import re
from collections.abc import Mapping

from inset_bridge import assets
from tests.edge.conftest import in_chromium
from tests.support.edge import DOMAIN, Edge
from tests.support.site import Site

NAME = f"assets.{DOMAIN}"


async def test_files_are_anybodys_for_good_and_compressed(in_front: Edge) -> None:
    page = await in_front.ask(NAME, "/warm-up", headers={"Cookie": "a=b"})
    [main] = re.findall(r'src="(/[0-9a-f]{16}/main\.[^"]+)"', page.body.decode())
    script = await in_front.ask(NAME, main, headers={"Accept-Encoding": "gzip"})
    plain = await in_front.ask(NAME, main)
    withheld = await in_front.ask(NAME, "/warm-up.js")

    assert (page.status, script.status, withheld.status) == (200, 200, 200)
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (script.headers["Content-Encoding"], script.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(script.body) == plain.body
    assert (page.headers["Cache-Control"], withheld.headers["Cache-Control"]) == ("public, max-age=60",) * 2
    assert page.headers["Content-Type"] == "text/html"
    for answer in (page, script, withheld):
        assert _lets_anybody(answer.headers)
        assert answer.cookies == []


async def test_there_is_nothing_else(in_front: Edge) -> None:
    for target in (
        "/",
        "/user/seat-001/",
        "/hub/api",
        f"/{'0' * 16}/main.js",
        f"/{assets.version()}/../../edge/key.pem",
    ):
        assert (await in_front.ask(NAME, target)).status in (400, 404)


async def test_a_notebook_s_page_has_its_files_from_there(site: Site, in_front: Edge, tmp_path, new_notebook) -> None:
    notebook_id = await new_notebook("ada")
    async with in_chromium(tmp_path, in_front) as context:
        page = context.pages[0]
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(site.url)
        await page.evaluate("([user, id]) => embed(user, id).ready", ["ada", notebook_id])

    below = f"https://{NAME}:{in_front.port}/"
    assert f"{below}warm-up" in asked
    assert len({url for url in asked if url.startswith(below + assets.version()) and ".js" in url}) > 30
    assert not [url for url in asked if "/static/notebook/" in url]


def _lets_anybody(headers: Mapping[str, str]) -> bool:
    return (headers["Access-Control-Allow-Origin"], headers["Cross-Origin-Resource-Policy"]) == ("*", "cross-origin")
