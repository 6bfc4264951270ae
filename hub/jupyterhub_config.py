"""A stock JupyterHub whose users are Inset's seats.

What differs from machine to machine is read from the environment here at the top; everything below assigns it.
"""

import hashlib
import os
import shlex

from inset_hub import isolation, limits, loopback, profiles, seats
from inset_hub.spawners import spawner_class

c = get_config()  # noqa: F821 - JupyterHub puts this name into the file

public_url = os.environ.get("INSET_HUB_PUBLIC_URL", "http://nb.localhost:8000")
bind_url = os.environ.get("INSET_HUB_BIND", "http://127.0.0.1:8000")
api_port = int(os.environ.get("INSET_HUB_API_PORT", "8081"))
connect_name = os.environ.get("INSET_HUB_CONNECT_NAME", "")
proxy_api_port = int(os.environ.get("INSET_HUB_PROXY_API_PORT", "8001"))
proxy_api_url = os.environ.get("INSET_HUB_PROXY_API_URL", "")
proxy_command = shlex.split(os.environ.get("INSET_PROXY_COMMAND", "configurable-http-proxy"))
service_token = os.environ["INSET_HUB_TOKEN"]
# JupyterHub forgets a service that is not named any more, with its tokens; every token of one that is stays good.
service = f"inset-{hashlib.sha256(service_token.encode()).hexdigest()[:4]}"
service_url = os.environ.get("INSET_SERVICE_URL", "http://127.0.0.1:8091")
data = os.path.abspath(os.environ["INSET_HUB_DATA"])
seat_names = seats.names(int(os.environ.get("INSET_SEATS", "16")))
spawner = os.environ.get("INSET_SPAWNER", "local")
singleuser_command = shlex.split(os.environ.get("INSET_SINGLEUSER_CMD", "python -m inset_bridge"))
profiles_file = os.environ.get("INSET_PROFILES_FILE", "")
assets_url = os.environ.get("INSET_ASSETS_URL", "")
# What holds for containers whose profile says nothing of its own.
of_containers = {}
if spawner in ("docker", "swarm"):
    of_containers = {
        "image": os.environ[f"INSET_{spawner.upper()}_IMAGE"],
        "network": os.environ[f"INSET_{spawner.upper()}_NETWORK"],
        "memory": os.environ.get("INSET_SEAT_MEMORY", "1 GiB"),
        "pids": int(os.environ.get("INSET_SEAT_PIDS", "256")),
    }
if spawner == "kubernetes":
    of_containers = {
        "image": os.environ["INSET_KUBERNETES_IMAGE"],
        "memory": os.environ.get("INSET_SEAT_MEMORY", "1 GiB"),
    }
# Without one of these a server takes what the machine has.
bounds = {"cpu": os.environ.get("INSET_SEAT_CPU", ""), "disk": os.environ.get("INSET_SEAT_DISK", "")}
if spawner != "local":
    of_containers |= {name: most for name, most in bounds.items() if most}
isolated = os.environ.get("INSET_ISOLATION", "on")
restricted_reach = os.environ.get(f"INSET_{spawner.upper()}_RESTRICTED_REACH", "").split()
shared_origin_allowed, insecure_bind_allowed, open_network_allowed, behind_edge = (
    os.environ.get(name, "") not in ("", "0")
    for name in ("INSET_ALLOW_SHARED_ORIGIN", "INSET_ALLOW_INSECURE_BIND", "INSET_ALLOW_OPEN_NETWORK", "INSET_EDGE")
)

# Nobody logs in: the service acts for the users, and the browser never meets the hub.
c.JupyterHub.authenticator_class = "null"
c.Authenticator.any_allow_config = True  # meant so: spares a warning that nobody can
c.JupyterHub.load_groups = {"seats": {"users": seat_names}}
c.JupyterHub.services = [{"name": service, "api_token": service_token}]
c.JupyterHub.load_roles = [
    {
        "name": "inset",
        "services": [service],
        "scopes": ["servers!group=seats", "tokens!group=seats", "list:users!group=seats"],
    },
    # A token minted for a seat can do what its user may at most: open his server, report its activity, say who it is.
    {
        "name": "user",
        "scopes": ["access:servers!user", "users:activity!user", "read:users:name!user", "read:users:groups!user"],
    },
]

# One origin for each seat; the hub itself is framed by nobody (JupyterHub's own default).
c.JupyterHub.bind_url = bind_url
c.JupyterHub.subdomain_host = isolation.subdomain_host(
    public_url, isolation=isolated, acknowledged=shared_origin_allowed
)
c.JupyterHub.public_url = public_url
c.ConfigurableHTTPProxy.command = proxy_command
# One that runs elsewhere goes on while the hub is replaced.
c.ConfigurableHTTPProxy.should_start = not proxy_api_url
c.ConfigurableHTTPProxy.api_url = proxy_api_url or f"http://127.0.0.1:{proxy_api_port}"
c.ConfigurableHTTPProxy.pid_file = os.path.join(data, "proxy.pid")

c.JupyterHub.hub_port = api_port
c.JupyterHub.db_url = "sqlite:///" + os.path.join(data, "jupyterhub.sqlite")
c.JupyterHub.cookie_secret_file = os.path.join(data, "cookie_secret")
# A start is answered 202 at once, so that the service can show its progress.
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
# Two starts for each core are all that gains anything; the rest are told to come back (429).
c.JupyterHub.concurrent_spawn_limit = 2 * (os.cpu_count() or 1)

c.JupyterHub.spawner_class = spawner_class(spawner)
c.Spawner.cmd = singleuser_command
# A server that dies is noticed within seconds; JupyterHub's own 30 s are long for somebody who waits for an answer.
c.Spawner.poll_interval = 5
environment = {
    "INSET_SERVICE_URL": service_url,
    "INSET_EDGE": "1" if behind_edge else "",
    "INSET_ASSETS_URL": assets_url,
}
offered = profiles.read(profiles_file, **of_containers)
c.Spawner.apply_user_options = profiles.applying(offered, environment)

if spawner == "local":
    loopback.require(bind_url, acknowledged=insecure_bind_allowed)
    limits.tell_what_is_not_kept(offered, limits.NOT_KEPT, "INSET_SPAWNER=docker")
    c.JupyterHub.hub_ip = "127.0.0.1"
    c.LocalSeatSpawner.seats_dir = os.path.join(data, "seats")
    c.LocalSeatSpawner.allow_open_network = open_network_allowed

if spawner != "local":
    c.JupyterHub.hub_ip = "0.0.0.0"
    # By which the seats' containers reach it. Without one it is the machine's name: every new container has another.
    c.JupyterHub.hub_connect_ip = connect_name
    # Containers outlive a hub that is replaced by its next version; the next one takes them over.
    c.JupyterHub.cleanup_servers = False

if spawner == "docker":
    # Several hubs can share an engine: containers are named after the network, of which each has its own.
    c.DockerSeatSpawner.prefix = of_containers["network"]
    c.DockerSeatSpawner.restricted_reach = restricted_reach
    from inset_hub import leftover_route

    c.JupyterHub.extra_handlers = leftover_route.HANDLERS

if spawner == "swarm":
    from inset_hub import swarm

    swarm.require_keepable(offered)
    c.SwarmSeatSpawner.prefix = of_containers["network"]
    placement = os.environ.get("INSET_SWARM_PLACEMENT", "")
    c.SwarmSeatSpawner.extra_placement_spec = {"constraints": placement.split(",") if placement else []}
    c.SwarmSeatSpawner.restricted_networks = os.environ.get("INSET_SWARM_RESTRICTED_NETWORKS", "")
    # A machine that is new pulls the image first.
    c.Spawner.start_timeout = 300

if spawner == "kubernetes":
    from inset_hub import kubernetes

    kubernetes.require_claims(offered)
    limits.tell_what_is_not_kept(offered, kubernetes.NOT_KEPT, "the cluster's own settings")
    c.KubernetesSeatSpawner.namespace = os.environ["INSET_KUBERNETES_NAMESPACE"]
    c.KubernetesSeatSpawner.image_pull_secrets = os.environ.get("INSET_KUBERNETES_PULL_SECRETS", "").split()
    c.KubernetesSeatSpawner.restricted_reach = restricted_reach
    # A node that is new pulls the image first.
    c.Spawner.start_timeout = 300
