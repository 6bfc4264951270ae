"""How commands that take long say how far they are."""

import sys
import time

_TELL_SECONDS = 5.0


class Progress:
    """Tells on stderr how far it is, once it takes long, and then every few seconds."""

    def __init__(self) -> None:
        self._last = ""
        self._told = False
        self._told_at = time.monotonic()

    def told(self, how_far: str) -> None:
        """Hear how far it is."""
        self._last = how_far
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told, self._told_at = True, time.monotonic()
            print(f"  {how_far}", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Tell the last of it, if it took long."""
        if self._told:
            print(f"  {self._last}", file=sys.stderr)
