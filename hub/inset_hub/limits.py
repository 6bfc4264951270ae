"""What of a profile a plain process can be kept to. The rest takes a container, and is told and not kept to."""

import resource
import sys
from collections.abc import Mapping, Sequence

from inset_hub.profiles import Profile

NOT_KEPT = ("image", "network", "user", "home", "cpu", "pids", "mounts", "read_only", "disk_by")
"""`pids` too: the system counts processes by account, and all servers here have the same one."""


def resources(profile: Profile) -> dict[int, int]:
    """Give the limits (`setrlimit`) that come nearest to a profile: each is for one process, not for all of a server.

    `memory` bounds the addresses of each process, `disk` the size of each file.
    """
    wanted = {resource.RLIMIT_AS: profile.memory, resource.RLIMIT_FSIZE: profile.disk}
    return {what: int(most) for what, most in wanted.items() if most}


def bound(resources: Mapping[int, int]) -> None:
    """Bound this process and all that it starts, for good."""
    for what, most in resources.items():
        resource.setrlimit(what, (most, most))


def tell_what_is_not_kept(profiles: Mapping[str, Profile], not_kept: Sequence[str], takes: str) -> None:
    """Say on stderr what of the operator's file this spawner does not keep to, and what that `takes`."""
    for name, profile in profiles.items():
        unkept = [field for field in not_kept if field in profile.model_fields_set and getattr(profile, field)]
        if unkept:
            print(f"  Profile {name}: {', '.join(unkept)} take {takes}.", file=sys.stderr, flush=True)
