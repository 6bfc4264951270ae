"""The hub as Inset configures it, but patient: a machine that starts ten servers on two processors takes its time."""

from tests.support.real_hub import HUB_CONFIG

c = get_config()  # noqa: F821 - JupyterHub puts this name into the file

load_subconfig(str(HUB_CONFIG))  # noqa: F821 - and this one

c.Spawner.start_timeout = 600
