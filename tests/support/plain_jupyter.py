"""JupyterLab and Notebook in one plain server, with the page extension and a fake bridge, as a subprocess."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.real_hub import ROOT, free_ports

DOCUMENTS = "@jupyterlab/docmanager-extension:plugin"
"""What keeps the settings of saving, among JupyterLab's plugins."""
EXTENSION = ROOT / "singleuser" / "inset_bridge" / "labextension"


@dataclass(frozen=True)
class PlainJupyter:
    port: int
    root: Path
    log_file: Path

    @property
    def origin(self) -> str:
        return f"http://seat.localhost:{self.port}"

    @property
    def url(self) -> str:
        """Python does not resolve the public name."""
        return f"http://127.0.0.1:{self.port}/user/seat/"

    def page(self, path: str, *, interface: str) -> str:
        return f"{self.origin}/user/seat/{'lab/tree' if interface == 'lab' else 'notebooks'}/{path}"

    def write(self, path: str, source: str) -> None:
        """Put a notebook of one cell into the server's folder."""
        self.write_cells(path, [source])

    def write_cells(self, path: str, sources: list[str]) -> None:
        cells = [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": "one" if n == 0 else f"cell-{n}",
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for n, source in enumerate(sources)
        ]
        metadata = {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(json.dumps(document), encoding="utf-8")

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def flushes(self, path: str) -> list[dict[str, Any]]:
        flushes = httpx.get(f"{self.url}inset/fake").raise_for_status().json()["flushes"]
        return [flush for flush in flushes if flush["path"] == path]

    def tell_pages(self, **event: Any) -> None:
        httpx.post(f"{self.url}inset/fake", json=event).raise_for_status()

    def set(self, plugin: str, raw: str) -> None:
        """Keep the user's own settings of a plugin of JupyterLab's."""
        httpx.put(f"{self.url}lab/api/settings/{plugin}", json={"raw": raw}).raise_for_status()

    def refuse(self, status: int, **body: Any) -> None:
        """Answer flushes with this until `accept()`."""
        httpx.put(f"{self.url}inset/fake", json={"status": status, "body": body}).raise_for_status()

    def accept(self) -> None:
        httpx.put(f"{self.url}inset/fake", json={}).raise_for_status()


@contextmanager
def plain_jupyter(folder: Path, *, origins: list[str]) -> Iterator[PlainJupyter]:
    """Serve `folder`/work to frames of `origins`."""
    [port] = free_ports(1)
    root, labextensions = folder / "work", folder / "labextensions"
    root.mkdir(parents=True)
    labextensions.mkdir()
    (labextensions / "inset-bridge").symlink_to(EXTENSION)
    config = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "base_url": "/user/seat/",
            "root_dir": str(root),
            "open_browser": False,
            "allow_root": True,
            "allow_remote_access": True,
            # The frame is on another site, so its cookies would not count; and entering is not the subject here.
            "disable_check_xsrf": True,
            "contents_manager_class": "inset_bridge.write_through.WrittenThrough",
            "jpserver_extensions": {"jupyterlab": True, "notebook": True, "tests.fakes.fake_bridge": True},
            "tornado_settings": {
                "headers": {"Content-Security-Policy": f"frame-ancestors {' '.join(origins)}"},
                "page_config_data": {
                    "insetOrigins": origins,
                    "insetApi": "/user/seat/inset/api/",
                    "insetMode": "plain",
                },
            },
        },
        "IdentityProvider": {"token": ""},
        "LabApp": {"extra_labextensions_path": [str(labextensions)], "news_url": None, "expose_app_in_browser": True},
        "JupyterNotebookApp": {"extra_labextensions_path": [str(labextensions)], "expose_app_in_browser": True},
    }
    (folder / "jupyter_server_config.json").write_text(json.dumps(config), encoding="utf-8")
    places = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    command = [sys.executable, "-m", "jupyter_server", f"--config={folder / 'jupyter_server_config.json'}"]
    log_file = folder / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **places}, stdout=log, stderr=log, start_new_session=True
        )
    jupyter = PlainJupyter(port, root, log_file)
    try:
        _wait_for(jupyter, process)
        yield jupyter
    finally:
        # Its kernels too: they are in its process group.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(jupyter: PlainJupyter, process: "subprocess.Popen[bytes]", *, patience: float = 60) -> None:
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up and process.poll() is None:
        try:
            httpx.get(f"{jupyter.url}api", verify=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("the server did not start\n" + jupyter.log_file.read_text(errors="replace"))
