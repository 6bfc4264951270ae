"""The `inset` command, which is `python -m inset` as well."""

import gc
import sys


def main() -> int:
    """Run one command, and give its exit code."""
    # What is imported stays, and Python's collector would look through all of it again and again meanwhile: that is an
    # eighth of a start, and of each later collection as much as it never has to look at.
    gc.disable()
    from inset.cli import main as run

    gc.freeze()
    gc.enable()
    return run()


if __name__ == "__main__":
    sys.exit(main())
