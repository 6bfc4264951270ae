"""The choice between the spawners."""

from jupyterhub.spawner import Spawner


def spawner_class(name: str) -> type[Spawner]:
    """Import only what is asked for: a developer's machine needs no client of Docker or Kubernetes."""
    if name == "local":
        from inset_hub.local import LocalSeatSpawner

        return LocalSeatSpawner
    if name == "docker":
        from inset_hub.docker import DockerSeatSpawner

        return DockerSeatSpawner
    if name == "kubernetes":
        from inset_hub.kubernetes import KubernetesSeatSpawner

        return KubernetesSeatSpawner
    if name == "swarm":
        from inset_hub.swarm import SwarmSeatSpawner

        return SwarmSeatSpawner
    raise ValueError(f"INSET_SPAWNER is {name!r}; it can be 'local', 'docker', 'swarm' or 'kubernetes'")
