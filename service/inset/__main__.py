"""The `inset` command, which is `python -m inset` as well."""

import sys

from inset.importing import uncollected, without_the_unneeded


def main() -> int:
    """Run one command, and give its exit code."""
    without_the_unneeded()
    with uncollected():
        from inset.cli import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
