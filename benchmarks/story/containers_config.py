"""Inset's hub, but that several of them share an engine: their seats have the same names, and containers must not."""

import os

from tests.support.real_hub import ROOT

c = get_config()  # noqa: F821 - JupyterHub puts this name into the file

load_subconfig(str(ROOT / "hub" / "jupyterhub_config.py"))  # noqa: F821 - and this one
c.DockerSeatSpawner.prefix = f"{os.environ['INSET_DOCKER_NETWORK']}-{os.environ['BENCH_HUB']}"
