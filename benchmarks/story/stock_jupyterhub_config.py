"""A JupyterHub as its documentation and the seed's article set one up: stock spawners, an admin service, one origin.

What may be framed by the host's page, and that a token in an address opens the page, is all that is set besides.
"""

import os
import shlex

c = get_config()  # noqa: F821 - JupyterHub puts this name into the file

spawner = os.environ["BENCH_SPAWNER"]
port = os.environ["INSET_HUB_API_PORT"]

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{"name": "host", "api_token": os.environ["INSET_HUB_TOKEN"], "admin": True}]
c.JupyterHub.tornado_settings = {"headers": {"Content-Security-Policy": "frame-ancestors *"}}

c.JupyterHub.bind_url = os.environ["INSET_HUB_BIND"]
c.JupyterHub.hub_port = int(port)
c.ConfigurableHTTPProxy.command = shlex.split(os.environ["INSET_PROXY_COMMAND"])
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['INSET_HUB_PROXY_API_PORT']}"

framed = "--ServerApp.tornado_settings={'headers': {'Content-Security-Policy': 'frame-ancestors *'}}"
c.Spawner.args = [framed, "--allow-root"]
c.Spawner.environment = {"JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1"}
c.Spawner.default_url = "/tree"

if spawner == "local":
    c.JupyterHub.spawner_class = "simple"
    # The environment that this runs in has Inset's page extension and settings, too.
    lab = os.environ["BENCH_STOCK_LAB"]
    c.Spawner.environment |= {"JUPYTERLAB_DIR": f"{lab}/lab"}
    c.Spawner.args += ["--ServerApp.jpserver_extensions={'nbdime': False}"]
    c.Spawner.args += [
        f"--{app}.labextensions_path=['{lab}/labextensions']" for app in ("LabApp", "JupyterNotebookApp")
    ]
    c.SimpleLocalProcessSpawner.home_dir_template = os.path.join(os.environ["INSET_HUB_DATA"], "homes", "{username}")
if spawner == "nothing":
    c.JupyterHub.spawner_class = "benchmarks.story.nothing.NothingSpawner"
if spawner == "docker":
    c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
    c.JupyterHub.hub_ip = "0.0.0.0"
    c.JupyterHub.hub_connect_ip = os.environ["INSET_HUB_CONNECT_NAME"]
    c.DockerSpawner.image = os.environ["BENCH_STOCK_IMAGE"]
    c.DockerSpawner.network_name = c.DockerSpawner.prefix = os.environ["INSET_DOCKER_NETWORK"]
    c.DockerSpawner.use_internal_ip = c.DockerSpawner.remove = True
