"""What `inset doctor --egress` is told on its command line."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inset.doctor.egress.from_a_kernel import Outside


def add_egress_options(doctor: argparse.ArgumentParser) -> None:
    """Have the command take them."""
    doctor.add_argument(
        "--egress",
        action="store_true",
        help="start restricted servers, and try from inside and from a browser's place what must not get out",
    )
    doctor.add_argument("--host", metavar="ID", help="of this host application (the first whose data is restricted)")
    doctor.add_argument(
        "--outside",
        action="append",
        default=[],
        type=_place,
        metavar="HOST:PORT",
        help="no kernel is to reach this, too",
    )
    doctor.add_argument(
        "--resolver", action="append", default=[], metavar="ADDRESS", help="no kernel is to ask this resolver, too"
    )


def outside_of(given: argparse.Namespace) -> "Outside":
    """Read what is to be tried beside the usual."""
    from inset.doctor.egress.from_a_kernel import Outside  # here: websockets with it, which no start needs

    return Outside(places=tuple(given.outside), resolvers=tuple(given.resolver))


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
