"""The list of export formats, which a page asks for while it opens and shows in a menu."""

import asyncio
import sys
from importlib import import_module

from jupyter_server.services.nbconvert.handlers import NbconvertRootHandler

from inset_bridge.lookups import remember_in

_EXPORTERS = "nbconvert.exporters.base"
_AFTER_SECONDS = 3.0
"""By then a page is up. Importing nbconvert takes a second, which the notebook itself would wait for."""


class ExportersHandler(NbconvertRootHandler):
    """Jupyter's own, which imports the exporters once a server's first page is open, and goes on serving meanwhile."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if _EXPORTERS not in sys.modules:
            await asyncio.sleep(_AFTER_SECONDS)
        # In a thread, whoever else may be importing them: Jupyter's own import would hold the whole server up.
        exporters = await asyncio.to_thread(import_module, _EXPORTERS)
        # It asks once for each format: a quarter of a second's computing, beside each page that opens.
        remember_in(exporters)
