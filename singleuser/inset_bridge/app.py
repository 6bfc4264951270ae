"""The single-user server's application: JupyterHub's own, with the bridge built in."""

import asyncio
import os
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from jupyter_core.paths import jupyter_path
from jupyter_events import EventLogger
from jupyter_server.serverapp import ServerApp
from jupyterhub.singleuser.extension import JupyterHubSingleUser
from tornado.ioloop import PeriodicCallback

from inset_bridge import assets, cookies, lookups
from inset_bridge.activity import Activity
from inset_bridge.api import AbsentHandler, DocumentHandler, FlushHandler, KeepHandler, LeaveHandler
from inset_bridge.authorizer import CapabilityAuthorizer
from inset_bridge.calls import Calls
from inset_bridge.control import Control
from inset_bridge.credentials import Credentials, private_folder
from inset_bridge.documents import Documents
from inset_bridge.duties import Duty, kept_up
from inset_bridge.entries import Entries
from inset_bridge.entry import Door, EnterHandler, ProbeHandler
from inset_bridge.exporters import ExportersHandler
from inset_bridge.files import Files
from inset_bridge.frames import Frames
from inset_bridge.framing import framing_by
from inset_bridge.hub_calls import find_a_moved_hub
from inset_bridge.identity import BridgeIdentityProvider, OverHandler
from inset_bridge.journal import Journal
from inset_bridge.kept_files import KeptFiles, ReadOnlyKeptFiles
from inset_bridge.kernel_ahead import KernelAhead
from inset_bridge.notebook_page import notebook_page
from inset_bridge.origins import Origins
from inset_bridge.page_saves import PageSaves
from inset_bridge.pages import Pages
from inset_bridge.read_only import ReadOnlyFiles
from inset_bridge.sender import Sender
from inset_bridge.service import Service
from inset_bridge.sessions import NotebookSessions
from inset_bridge.settings import Settings
from inset_bridge.sockets import Sockets
from inset_bridge.static_files import StaticHandler, kept_for_good
from inset_bridge.write_through import WrittenThrough

STOP_WITHIN = 20.0
"""Seconds for the last flush. The spawners wait longer than this before they kill a server."""
_EXPORTING = ("files", "view", "nbconvert")
"""Jupyter's own services that hand files out in another form than the page's own."""
_CONTENTS_EVENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"


class BridgeSingleUser(JupyterHubSingleUser):  # type: ignore[misc]  # ships no types
    name = app_namespace = "inset-bridge"

    @classmethod
    def make_serverapp(cls, **kwargs: Any) -> ServerApp:
        # Language servers: the image has none, and every start would look for them. nbdime is the service's, and would
        # open handlers of its own where both share one environment.
        without = {"jupyter_lsp": False, "nbdime": False}
        kwargs["jpserver_extensions"] = {**without, **kwargs.get("jpserver_extensions", {})}
        serverapp: ServerApp = super().make_serverapp(**kwargs)
        return serverapp

    def initialize(self, args: Any = None) -> None:
        """Prepare what the hub is asked by, then all else."""
        self.serverapp.io_loop.run_sync(find_a_moved_hub)
        super().initialize(args)

    def load_config_file(self) -> None:
        """JupyterHub's settings, and what of them is ours. Nothing in the user's files overrides these."""
        super().load_config_file()
        self.inset = Settings.from_env(os.environ)
        cookies.allow_partitioned()
        lookups.remember()
        self.config.ServerApp.identity_provider_class = BridgeIdentityProvider
        self.config.ServerApp.authorizer_class = CapabilityAuthorizer
        self.config.ServerApp.session_manager_class = NotebookSessions
        self.config.ServerApp.terminals_enabled = {"run", "terminals"} <= self.inset.may
        if self.inset.restricted:
            # Not there for anybody: what the authorizer refuses a browser has no handler either.
            kept = (service for service in self.serverapp.default_services if service not in _EXPORTING)
            self.serverapp.default_services = tuple(kept)
            self.config.ServerApp.contents_manager_class = KeptFiles
        else:
            self.config.ServerApp.contents_manager_class = WrittenThrough
        if "edit" not in self.inset.may:
            self.config.ServerApp.contents_manager_class = ReadOnlyKeptFiles if self.inset.restricted else ReadOnlyFiles
        self.config.ServerApp.tornado_settings = {
            "xsrf_cookie_kwargs": cookies.ATTRIBUTES,
            "static_handler_class": StaticHandler,
            "static_immutable_cache": kept_for_good(self.serverapp.base_url, jupyter_path("labextensions")),
        }
        # What Jupyter trusts it remembers while it runs: with a database on a full disk no notebook could even be read.
        self.config.NotebookNotary.db_file = ":memory:"
        self.config.NotebookNotary.secret = secrets.token_bytes(32)
        # A folder goes with its server, and with it whatever style a user would set: not asked for.
        self.config.JupyterNotebookApp.custom_css = False
        self.serverapp.update_config(self.config)

    def initialize_settings(self) -> None:
        self.origins = Origins(self.inset.origins, own=self.inset.own_origin)
        self.entries = Entries()
        self.sockets = Sockets()
        identity: BridgeIdentityProvider = self.serverapp.identity_provider
        identity.settings, identity.origins = self.inset, self.origins
        identity.entries, identity.sockets = self.entries, self.sockets
        identity.activity = self.activity = Activity()
        self.serverapp.web_app.add_transform(framing_by(self.origins))

    def initialize_handlers(self) -> None:
        app = self.serverapp
        # A connection that idles longer may just be closed by the service when it is used again.
        limits = httpx.Limits(keepalive_expiry=2)
        url = self.inset.service_url
        # Whom to trust takes 20 ms to read, of every server's start, and is of use to TLS alone.
        encrypted = not url.startswith("http:")
        self.http = httpx.AsyncClient(base_url=url, timeout=30, limits=limits, verify=encrypted)
        self.service = service = Service(self.http, hub_token=self.inset.hub_token, server_id=self.inset.server_id)
        root = Path(app.contents_manager.root_dir)
        journal, files = Journal(root / ".inset" / "journal.json", log=self.log), Files(root)
        for document in journal:
            files.mend(document.path)
        self.sessions: NotebookSessions = app.session_manager
        read_only = "edit" not in self.inset.may
        self.sender = Sender(service, journal, files, log=self.log, read_only=read_only)
        pages = Pages(app.event_logger, self.sockets)
        frames = Frames(self.entries, self.sockets, journal, self.sessions)
        self.credentials = Credentials(service, private_folder(self.inset.server_id), journal, log=self.log)
        self.sessions.credentials = self.credentials
        self.kernel_ahead = KernelAhead(app, self.credentials, log=self.log)
        page_saves = PageSaves()
        self.documents = Documents(
            journal,
            files,
            self.sender,
            pages,
            self.sessions,
            self.sockets,
            frames,
            self.credentials,
            self.kernel_ahead,
            page_saves,
            may_run="run" in self.inset.may,
        )
        if isinstance(app.contents_manager, WrittenThrough):
            app.contents_manager.unwritten = self.documents.unwritten
            app.contents_manager.saved = self.documents.saved
            app.contents_manager.page_saves = page_saves
        self.control = Control(service, frames, self.origins, self.credentials, log=self.log)

        api = {"documents": self.documents, "pages": pages, "origins": self.origins, "calls": Calls(service)}
        door = Door(service, self.inset)
        enter = {
            "settings": self.inset,
            "origins": self.origins,
            "entries": self.entries,
            "door": door,
            "documents": self.documents,
            "notebook": notebook_page(
                self.inset.prefix,
                self.inset.may,
                jupyter_path("labextensions"),
                scripts=self.inset.assets_url and f"{self.inset.assets_url}/{assets.version()}",
            ),
        }
        self.handlers.extend(
            [
                (r"/logout", OverHandler, {"origins": self.origins}),
                (r"/inset/enter", EnterHandler, enter),
                (r"/inset/probe", ProbeHandler, {"entries": self.entries}),
                (r"/inset/api/documents/([A-Za-z0-9-]+)", DocumentHandler, api),
                (r"/inset/api/flush", FlushHandler, api),
                (r"/inset/api/absent", AbsentHandler, api),
                (r"/inset/api/keep", KeepHandler, api),
                (r"/inset/api/leave", LeaveHandler, api),
            ]
        )
        if not self.inset.restricted:
            self.handlers.append((r"/api/nbconvert", ExportersHandler))
        if not read_only:
            app.event_logger.add_listener(schema_id=_CONTENTS_EVENTS, listener=self._contents_changed)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        duties: dict[str, Duty] = {
            "Sending what is owed": self.sender.run,
            "Following the service": self.control.run,
            "Telling of activity": partial(self.activity.run, self.service, serverapp, log=self.log),
        }
        self._duties = [asyncio.create_task(kept_up(duty, of=of, log=self.log)) for of, duty in duties.items()]
        # Websockets outlive the check they were opened with.
        self._cutting = PeriodicCallback(self.sockets.close_ended, 2000)
        self._cutting.start()
        self.sender.wake()
        if self.inset.ahead and "run" in self.inset.may:
            self.kernel_ahead.start()

    async def stop_extension(self) -> None:
        self._cutting.stop()
        self.kernel_ahead.cancel()
        await self.sender.finish(within=STOP_WITHIN)
        await self.sessions.finish()
        # Only now: whether a send that is broken off has landed nobody would know.
        for duty in self._duties:
            duty.cancel()
        await asyncio.wait(self._duties)
        self.credentials.clear()
        await self.http.aclose()
        await super().stop_extension()

    async def _contents_changed(self, logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        """Note that something was renamed, and return: it is done, and nothing here can fail it."""
        if data["action"] == "rename":
            self.documents.renamed(data["source_path"].strip("/"), data["path"].strip("/"))
