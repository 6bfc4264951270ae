"""The choice between the two spawners."""

from jupyterhub.spawner import Spawner


def spawner_class(name: str) -> type[Spawner]:
    """Import only what is asked for: a developer's machine needs no Docker client."""
    if name == "local":
        from inset_hub.local import LocalSeatSpawner

        return LocalSeatSpawner
    if name == "docker":
        from inset_hub.docker import DockerSeatSpawner

        return DockerSeatSpawner
    raise ValueError(f"INSET_SPAWNER is {name!r}; it can be 'local' or 'docker'")
