"""Inset's hub, but for its spawner, which starts nothing."""

from benchmarks.story.nothing import NothingSpawner
from tests.support.real_hub import ROOT

c = get_config()  # noqa: F821 - JupyterHub puts this name into the file

load_subconfig(str(ROOT / "hub" / "jupyterhub_config.py"))  # noqa: F821 - and this one
c.JupyterHub.spawner_class = NothingSpawner
# As many as want to: it is not the starting that is measured.
c.JupyterHub.concurrent_spawn_limit = 0
