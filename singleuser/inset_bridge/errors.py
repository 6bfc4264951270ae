"""What can go wrong, as the page and the service see it: `{"code", "message"}`.

BridgeError
├── TicketRefused        the entry page's typed reasons
├── NotAllowed           403
├── BadRequest           400
├── UnknownDocument      404
├── Verdict              what the service says of a content whenever it is asked
│   ├── VersionConflict  409
│   └── NotebookTooLarge 413
├── FileChanged          412
├── UnreadableFile       500
├── RefusedByService     502
├── ServiceUnavailable   503
└── DiskFull             507
"""

from typing import Any

from tornado.web import HTTPError


class BridgeError(HTTPError):
    """Answered as JSON by the bridge's handlers; `extra` adds members to the answer."""

    code, status = "bridge-error", 500

    def __init__(self, message: str, **extra: Any) -> None:
        # "%" would be taken for a format by tornado's logging.
        super().__init__(self.status, message.replace("%", "%%"))
        self.message = message
        self.extra = extra

    def to_body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, **self.extra}


class TicketRefused(BridgeError):
    """The ticket opens nothing here; `reason` is the word the host's page is told."""

    status = 403

    def __init__(self, reason: str) -> None:
        self.code = reason
        super().__init__("This notebook can't be opened with this address.")


class NotAllowed(BridgeError):
    """The host, or its token, said that this user may not."""

    code, status = "not-allowed", 403

    def __init__(self) -> None:
        super().__init__("This is not allowed here.")


class BadRequest(BridgeError):
    code, status = "bad-request", 400


class UnknownDocument(BridgeError):
    code, status = "unknown-document", 404

    def __init__(self) -> None:
        super().__init__("No such notebook is loaded here.")


class Verdict(BridgeError):
    """What the service says of a content, and would say again."""

    sha256 = ""
    """The content's hash, as its file has it."""


class VersionConflict(Verdict):
    """The content is kept by the service, beside the newest version."""

    code, status = "version-conflict", 409

    def __init__(self, *, current_version: int, kept_version: int, resolve: str | None) -> None:
        super().__init__(
            "Someone else saved this notebook; both versions are kept.",
            current_version=current_version,
            kept_version=kept_version,
            resolve=resolve,
        )
        self.kept_version = kept_version


class NotebookTooLarge(Verdict):
    code, status = "notebook-too-large", 413

    def __init__(self) -> None:
        super().__init__("The notebook is too large to be stored.")


class FileChanged(BridgeError):
    """The file is not what the page would replace: another page has saved it, or a kernel has written it."""

    code, status = "file-changed", 412

    def __init__(self) -> None:
        super().__init__("The notebook's file is not the one that this page has opened or saved.")


class UnreadableFile(BridgeError):
    code, status = "unreadable-file", 500

    def __init__(self) -> None:
        super().__init__("The notebook's file can't be read.")


class RefusedByService(BridgeError):
    """The service answered, and said no; `slug` is its problem's."""

    code, status = "refused-by-service", 502

    def __init__(self, slug: str) -> None:
        super().__init__("The service refused this.", reason=slug)
        self.slug = slug


class DiskFull(BridgeError):
    """Nothing more can be written here; `stored` is whether the service has what was to be written."""

    code, status = "disk-full", 507

    def __init__(self, *, stored: bool = False) -> None:
        kept = (
            "What you see is stored all the same, as a version of this notebook."
            if stored
            else "What you see is not stored: leave this page open."
        )
        super().__init__(f"The disk of this notebook's server is full. {kept} Delete files there, and save again.")


class ServiceUnavailable(BridgeError):
    code, status = "service-unavailable", 503

    def __init__(self) -> None:
        super().__init__("The service can't be reached; the content is kept here until it can.")
