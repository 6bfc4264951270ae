"""The list of export formats, which a page asks for while it opens and shows in a menu."""

import asyncio
import sys

from jupyter_server.services.nbconvert.handlers import NbconvertRootHandler

_AFTER_SECONDS = 3.0
"""By then a page is up. Importing nbconvert takes a second, which the notebook itself would wait for."""


class ExportersHandler(NbconvertRootHandler):
    """Jupyter's own, which lets a server's first page open before it imports the exporters."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if "nbconvert.exporters.base" not in sys.modules:
            await asyncio.sleep(_AFTER_SECONDS)
