"""The `inset` command, which is `python -m inset` as well."""

import sys

from inset.uncollected import uncollected


def main() -> int:
    """Run one command, and give its exit code."""
    # httpx takes itself for one without a command line, whose libraries nothing here uses.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    with uncollected():
        from inset.cli import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
