"""Who may frame this server's pages: one rule on every answer, whichever handler gave it."""

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from inset_bridge.origins import Origins

_CSP = "Content-Security-Policy"


def framing_by(origins: Origins) -> type[OutputTransform]:
    """Make the transform that writes `frame-ancestors` with exactly these origins, as they are at the time.

    A transform, since error pages, redirects and static files don't all come from Jupyter's handlers, and a header set
    by a handler replaces the one in the settings.
    """

    class Framing(OutputTransform):
        def __init__(self, request: HTTPServerRequest) -> None:
            pass

        def transform_first_chunk(
            self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
        ) -> tuple[int, HTTPHeaders, bytes]:
            headers[_CSP] = "; ".join([origins.frame_ancestors, *_other_directives(headers.get(_CSP, ""))])
            headers.pop("X-Frame-Options", None)
            return status_code, headers, chunk

    return Framing


def _other_directives(policy: str) -> list[str]:
    directives = (directive.strip() for directive in policy.split(";"))
    return [one for one in directives if one and one.split()[0].lower() != "frame-ancestors"]
