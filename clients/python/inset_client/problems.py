"""What the service says is wrong, as exceptions: one class for each slug, in families by what to do about it.

    Problem ────────────── InternalError, ContentDamaged, PolicyNotEnforceable, and what has no class
    ├── Unauthenticated ── TokenMissing, TokenMalformed, TokenAlgorithm, TokenUnknownIssuer, TokenSignature,
    │                      TokenExpired, TokenAudience, TokenLifetime, TokenClaims, TokenRevoked
    ├── Forbidden ──────── OriginNotAllowed, NotAllowed, BackendOnly
    ├── NotFound ───────── NotebookNotFound, VersionNotFound, SessionNotFound, DeliveryNotFound
    ├── Conflict ───────── VersionConflict, NotOnTheSide, MergeConflict, NotMergeable, NotPreviewable, NotEmbeddable,
    │                      SessionNotReady, NotebookInUse, SessionLimit, SessionDiffers, RequestUnderWay, SessionOver,
    │                      EndpointOff
    ├── Invalid ────────── InvalidRequest, NotJson, NotANotebook, UnsupportedNbformat, InvalidCursor,
    │                      IdempotencyKeyReused, NotComparable, DiffTooLarge, UnknownProfile, EnvironmentNotAllowed,
    │                      NotebookTooLarge, BaseVersionRequired
    └── Unavailable ────── RateLimited, HubUnavailable, HubBusy, ServerGone, KeysUnavailable, DatabaseUnavailable,
                           PreviewsBusy, QueueFull

A slug that a newer service has and this package has not is a plain `Problem` with its `slug`.
"""

import inspect
from typing import Any, ClassVar, Literal, TypedDict

from inset_client.errors import InsetError
from inset_client.models import Capability

_TYPE = "urn:inset:problem:"
_BY_SLUG: dict[str, type["Problem"]] = {}


class Problem(InsetError):
    """An RFC 9457 problem. What a kind of problem has beside these is an attribute of its class."""

    slug: str = ""
    """Stable: to branch on where a class does not do."""
    status: int
    title: str
    detail: str
    instance: str | None
    """Names the request, as the service's log does."""
    members: dict[str, Any]
    """All that the service said."""

    _typed: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        if "slug" in vars(cls):
            _BY_SLUG[cls.slug] = cls
        cls._typed = tuple(inspect.get_annotations(cls))

    def __init__(self, status: int, members: dict[str, Any]) -> None:
        self.status = status
        self.members = members
        self.title = str(members.get("title") or f"Status {status}")
        self.detail = str(members.get("detail") or "")
        self.instance = members.get("instance")
        self.slug = type(self).slug or str(members.get("type") or "").removeprefix(_TYPE)
        for name in self._typed:
            setattr(self, name, members.get(name))
        super().__init__(f"{self.title}: {self.detail}" if self.detail else self.title)

    @staticmethod
    def from_answer(status: int, said: object) -> "Problem":
        """Read what was answered; an answer of something in between, as of a proxy, has no slug."""
        members: dict[str, Any] = said if isinstance(said, dict) else {}
        kind = _BY_SLUG.get(str(members.get("type") or "").removeprefix(_TYPE), Problem)
        return kind(status, members)


def known_problems() -> dict[str, type[Problem]]:
    """Give the classes by their slugs."""
    return dict(_BY_SLUG)


class Unsettled(TypedDict):
    """A place that both sides of a conflict have changed."""

    cell: str | None
    part: str


class InvalidPart(TypedDict):
    """A place where a request does not fit its schema."""

    where: str
    message: str


class Unauthenticated(Problem):
    """The token is not accepted: the key, its id, the issuer or a clock is not as registered."""


class Forbidden(Problem):
    """Known, and not allowed."""


class NotFound(Problem):
    """No such thing, or somebody else's: the two look alike."""


class Conflict(Problem):
    """The request does not fit the state that the thing is in."""


class Invalid(Problem):
    """The request says something impossible. Sent again as it is, it gets the same answer."""


class Unavailable(Problem):
    """Not now: it was tried again, and may be later."""


class TokenMissing(Unauthenticated):
    """The request has no bearer token."""

    slug = "token-missing"


class TokenMalformed(Unauthenticated):
    """The bearer token is not a JWT."""

    slug = "token-malformed"


class TokenAlgorithm(Unauthenticated):
    """The token's `alg` is not the one its key is registered for."""

    slug = "token-algorithm"


class TokenUnknownIssuer(Unauthenticated):
    """No host application of this name, or none of its keys has this `kid`."""

    slug = "token-unknown-issuer"


class TokenSignature(Unauthenticated):
    """The signature does not fit the key."""

    slug = "token-signature"


class TokenExpired(Unauthenticated):
    """The token's time is over."""

    slug = "token-expired"


class TokenAudience(Unauthenticated):
    """The token was made for somebody else."""

    slug = "token-audience"


class TokenLifetime(Unauthenticated):
    """The token lives longer than is allowed, or is not valid yet."""

    slug = "token-lifetime"


class TokenClaims(Unauthenticated):
    """A required claim is missing or of the wrong form."""

    slug = "token-claims"


class TokenRevoked(Unauthenticated):
    """The host application has revoked the user since the token was signed."""

    slug = "token-revoked"


class OriginNotAllowed(Forbidden):
    """A browser page calls from an origin that its host application has not registered."""

    slug = "origin-not-allowed"


class NotAllowed(Forbidden):
    """The host application does not let this user do it; `needs` names the capability that is missing."""

    slug = "not-allowed"
    needs: Capability


class BackendOnly(Forbidden):
    """Only the host application's own backend may do this."""

    slug = "backend-only"


class NotebookNotFound(NotFound):
    """The caller has no notebook of this id."""

    slug = "notebook-not-found"


class VersionNotFound(NotFound):
    """The notebook has no version of this number."""

    slug = "version-not-found"


class SessionNotFound(NotFound):
    """The caller has no session of this id."""

    slug = "session-not-found"


class DeliveryNotFound(NotFound):
    """The host application has no webhook delivery of this id."""

    slug = "delivery-not-found"


class EndpointOff(Conflict):
    """The webhook endpoint was removed, or has been switched off."""

    slug = "endpoint-off"


class VersionConflict(Conflict):
    """The write was not based on the notebook's current version. What was written is kept on the side."""

    slug = "version-conflict"
    base_version: int
    current_version: int
    kept_version: int
    resolve: str | None


class NotOnTheSide(Conflict):
    """The version is one of its notebook's own line: no conflict has kept it, so there is nothing to resolve."""

    slug = "not-on-the-side"


class MergeConflict(Conflict):
    """Both sides changed the same things, which `unsettled` names. Nothing was changed: take one of the sides."""

    slug = "merge-conflict"
    unsettled: list[Unsettled]
    current_version: int
    kept_version: int


class NotMergeable(Conflict):
    """One of the versions is no valid notebook, or the two have nothing in common. Take one of the sides."""

    slug = "not-mergeable"


class NotPreviewable(Conflict):
    """The version can't be shown as a page: it is no notebook of nbformat 4, too large, or takes too long."""

    slug = "not-previewable"


class NotEmbeddable(Conflict):
    """The server runs without the save bridge, so it has no signed entry."""

    slug = "not-embeddable"


class SessionNotReady(Conflict):
    """The session has not become ready yet."""

    slug = "session-not-ready"
    state: str


class NotebookInUse(Conflict):
    """The notebook is open in a session, which must end first."""

    slug = "notebook-in-use"
    session_id: str


class SessionLimit(Conflict):
    """As many sessions are open as the host application may have. Waiting alone does not help: one must end."""

    slug = "session-limit"
    limit: int
    of: Literal["host", "user"]


class SessionDiffers(Conflict):
    """The notebook is open already, in a session of another profile or environment than the one asked for."""

    slug = "session-differs"
    session_id: str
    profile: str


class RequestUnderWay(Conflict):
    """Another request with this `Idempotency-Key` has no answer yet. Sent again later, this one gets the same."""

    slug = "request-under-way"


class SessionOver(Conflict):
    """The session has ended or failed."""

    slug = "session-over"
    state: str


class InvalidRequest(Invalid):
    """The request does not fit its schema; `errors` says where."""

    slug = "invalid-request"
    errors: list[InvalidPart]


class NotJson(Invalid):
    """The content is not JSON."""

    slug = "not-json"


class NotANotebook(Invalid):
    """The content is JSON, and no notebook."""

    slug = "not-a-notebook"


class UnsupportedNbformat(Invalid):
    """The notebook is of another major format than 4."""

    slug = "unsupported-nbformat"


class InvalidCursor(Invalid):
    """The cursor was not given by this list."""

    slug = "invalid-cursor"


class IdempotencyKeyReused(Invalid):
    """An `Idempotency-Key` was used again for another request."""

    slug = "idempotency-key-reused"


class NotComparable(Invalid):
    """A version is no notebook, so that there are no cells to compare. Its bytes can still be had."""

    slug = "not-comparable"
    version: int


class DiffTooLarge(Invalid):
    """The two versions are together larger than what is compared."""

    slug = "diff-too-large"
    limit: int


class UnknownProfile(Invalid):
    """The host application has no profile of this name; `profiles` names those it has."""

    slug = "unknown-profile"
    profiles: list[str]


class EnvironmentNotAllowed(Invalid):
    """The profile lets a host set no variables of these names; `allowed` has the patterns of those it may."""

    slug = "environment-not-allowed"
    names: list[str]
    allowed: list[str]


class NotebookTooLarge(Invalid):
    """The notebook is larger than this service stores, or than it stores for this host application."""

    slug = "notebook-too-large"
    limit: int


class BaseVersionRequired(Invalid):
    """A replacing write did not say which version it is based on."""

    slug = "base-version-required"


class RateLimited(Unavailable):
    """The user has made as many calls in this minute as his host application allows."""

    slug = "rate-limited"
    limit: int


class HubUnavailable(Unavailable):
    """JupyterHub does not answer, or answers nonsense."""

    slug = "hub-unavailable"


class HubBusy(Unavailable):
    """JupyterHub has no room for another start just now."""

    slug = "hub-busy"


class ServerGone(Unavailable):
    """The session's notebook server does not answer."""

    slug = "server-gone"


class KeysUnavailable(Unavailable):
    """The host application's published keys could not be fetched, so its token can be neither believed nor refused."""

    slug = "keys-unavailable"


class DatabaseUnavailable(Unavailable):
    """The service's database is away, locked for too long, or has no room left; nothing of the call was stored."""

    slug = "database-unavailable"


class PreviewsBusy(Unavailable):
    """As many previews are being made as this service makes at once, and more are waiting."""

    slug = "previews-busy"


class QueueFull(Unavailable):
    """As many of the host application's sessions wait for a place as may."""

    slug = "queue-full"
    limit: int


class PolicyNotEnforceable(Problem):
    """The data is restricted, and nothing there could hold a notebook's user to that."""

    slug = "policy-not-enforceable"


class InternalError(Problem):
    """Something unforeseen; it is in the service's log."""

    slug = "internal-error"


class ContentDamaged(Problem):
    """A version's bytes are no longer those that were stored, and are not given out. Older versions may be whole."""

    slug = "content-damaged"
