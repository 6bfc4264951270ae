"""The pages that may frame this server."""


class Origins:
    """The exact origins of the host's pages: as the hub told them at the start, then as the service does."""

    def __init__(self, host: tuple[str, ...], own: str) -> None:
        self.host = host
        self._own = own

    @property
    def frame_ancestors(self) -> str:
        """The directive: the host's pages, and this seat's own, since viewers nest frames of their own origin."""
        return "frame-ancestors " + (" ".join(origin for origin in (*self.host, self._own) if origin) or "'none'")
