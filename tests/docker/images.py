"""The images that tests run, built from this checkout.

`python -m tests.docker.images` builds them all beside each other, before any test has to wait for one: what tests build
comes from the engine's cache then. It runs beside the installation, and so uses nothing but Python itself.
"""

import os
import tempfile
import time

import docker_engine
from compose import ROOT, Composed

from tests.docker.base_image import base_image

TAG = os.environ.get("INSET_TAG", "test")
TIMES = ROOT / ".artifacts" / "images.txt"


def settings() -> dict[str, str]:
    """Tell Compose the images' tag and what they are built on, which is made if it is missing."""
    tool = docker_engine.docker()
    assert tool, "run `python3 dev/docker_engine.py` first"
    assert docker_engine.answers(), "run `python3 dev/docker_engine.py` first"
    return {"INSET_TAG": TAG, "INSET_BASE_IMAGE": base_image(tool)}


def build(*parts: str) -> None:
    """Build the images of these parts of `compose.yaml`, or all, whatever a developer's `.env` says."""
    with tempfile.NamedTemporaryFile() as no_settings:
        options = ("--env-file", no_settings.name)
        Composed(settings(), options, (ROOT / "compose.yaml",), say=lambda _: None).build(*parts)


def main() -> None:
    """Build them all, and write down how long it took."""
    began = time.monotonic()
    build()
    TIMES.parent.mkdir(exist_ok=True)
    TIMES.write_text(f"Images: made in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
