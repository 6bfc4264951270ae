"""What goes wrong apart from the service's own problems.

InsetError
├── Problem            what the service says is wrong: see `inset_client.problems`
├── Unreachable        no answer, after all tries
├── SessionFailed      a session that was waited for failed, or ended
└── ReceiptInvalid
"""

from inset_client.models import Failure


class InsetError(Exception):
    """Everything that this package raises."""


class Unreachable(InsetError):
    """The service did not answer, however often it was asked. Its cause is httpx's own error, if there is one."""


class SessionFailed(InsetError):
    """The session will never be ready. `failure` says why; None if it ended before."""

    def __init__(self, session_id: str, failure: Failure | None) -> None:
        super().__init__(f"{failure.title}: {failure.detail}" if failure else "The session has ended.")
        self.session_id = session_id
        self.failure = failure


class ReceiptInvalid(InsetError):
    """The receipt was not signed by this service, or proves nothing that this package understands."""
