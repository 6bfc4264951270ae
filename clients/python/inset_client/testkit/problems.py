"""What the fake refuses, in the service's words."""

from typing import Any


class FakeProblem(Exception):
    """A problem to be answered."""

    def __init__(self, status: int, slug: str, title: str = "Refused", detail: str = "…", **members: Any) -> None:
        super().__init__(slug)
        self.status = status
        told = {"type": f"urn:inset:problem:{slug}", "title": title, "status": status, "detail": detail}
        self.body = {**told, **members}
        self.headers = {"Retry-After": "5"} if status == 503 else {}


def missing(kind: str) -> FakeProblem:
    """Say that there is no such notebook, version or session, or that it is somebody else's."""
    return FakeProblem(404, f"{kind}-not-found", f"{kind.capitalize()} not found", f"There is no such {kind}.")


def invalid(where: str, message: str) -> FakeProblem:
    """Say that a request does not fit its schema."""
    errors = [{"where": where, "message": message}]
    return FakeProblem(422, "invalid-request", "Request not valid", f"{where}: {message}", errors=errors)
