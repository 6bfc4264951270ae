"""Everything that can go wrong for a caller, as one family of RFC 9457 problems.

    Problem
    ├── Unauthenticated 401 ── TokenMissing, TokenMalformed, TokenAlgorithm, TokenIssuer, TokenSignature,
    │                          TokenExpired, TokenAudience, TokenLifetime, TokenClaims, TokenRevoked, UnknownServer
    ├── Forbidden 403 ──────── OriginNotAllowed, NotAllowed, BackendOnly, TicketInvalid, TicketExpired, TicketUsed,
    │                          TicketForAnotherServer
    ├── NotFound 404 ───────── NotebookNotFound, VersionNotFound, SessionNotFound, DeliveryNotFound
    ├── Conflict 409 ───────── VersionConflict, NotOnTheSide, MergeConflict, NotMergeable, NotPreviewable,
    │                          NotEmbeddable, SessionNotReady, NotebookInUse, SessionLimit, SessionDiffers,
    │                          RequestUnderWay, EndpointOff
    ├── SessionOver 410
    ├── NotebookTooLarge 413
    ├── Invalid 422 ────────── InvalidRequest, NotJson, NotANotebook, UnsupportedNbformat, InvalidCursor, KeyReused,
    │                          NotComparable, DiffTooLarge, UnknownProfile, EnvironmentNotAllowed
    ├── BaseVersionRequired 428
    ├── RateLimited 429
    ├── InternalError 500, ContentDamaged 500
    ├── PolicyNotEnforceable 501
    ├── Upstream 503 ───────── HubUnavailable, HubBusy, ServerGone, KeysUnavailable, DatabaseUnavailable,
    │                          PreviewsBusy
    ├── QueueFull 503
    └── NotReady 503

A problem's `type` is `urn:inset:problem:<slug>`. Slugs are stable: callers branch on them.
`SpawnFailed` and its like are not raised to a caller: they are the reasons of a failed session.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal


class Problem(Exception):
    """Something a caller is told. `detail` is for the caller; the cause goes to the log."""

    slug: ClassVar[str] = "problem"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members


# -- 401: who are you? ---------------------------------------------------------------------------


class Unauthenticated(Problem):
    """The caller did not show who it is."""

    slug, title, status = "unauthenticated", "Not authenticated", 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class TokenMissing(Unauthenticated):
    """The request has no bearer token."""

    slug, title = "token-missing", "Token missing"

    def __init__(self) -> None:
        super().__init__("Send the user's JWT as `Authorization: Bearer <token>`.")


class TokenMalformed(Unauthenticated):
    """The bearer token is not a JWT."""

    slug, title = "token-malformed", "Token is not a JWT"

    def __init__(self) -> None:
        super().__init__("The bearer token cannot be read as a signed JWT.")


class TokenIssuer(Unauthenticated):
    """No host application of this name, or none of its keys has this `kid`."""

    slug, title = "token-unknown-issuer", "Unknown issuer or key"

    def __init__(self) -> None:
        super().__init__("`iss` and `kid` name no key of a registered host application.")


class TokenAlgorithm(Unauthenticated):
    """The token's `alg` is not the one its key is registered for."""

    slug, title = "token-algorithm", "Wrong algorithm"

    def __init__(self) -> None:
        super().__init__("The token's `alg` is not the one that its key is registered with.")


class TokenSignature(Unauthenticated):
    """The signature does not fit the key."""

    slug, title = "token-signature", "Wrong signature"

    def __init__(self) -> None:
        super().__init__("The token's signature does not fit the registered key.")


class TokenExpired(Unauthenticated):
    """The token's time is over."""

    slug, title = "token-expired", "Token expired"

    def __init__(self) -> None:
        super().__init__("The token's `exp` has passed. Sign a fresh one and send the request again.")


class TokenAudience(Unauthenticated):
    """The token was made for somebody else."""

    slug, title = "token-audience", "Wrong audience"

    def __init__(self, expected: str) -> None:
        super().__init__(f"The token's `aud` must be {expected}.")


class TokenLifetime(Unauthenticated):
    """The token lives longer than is allowed, or is not valid yet."""

    slug, title = "token-lifetime", "Token lives too long"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"The token's `exp` may lie at most {seconds} seconds ahead of now and of its `iat`; "
            "`iat` and `nbf` may not lie ahead at all."
        )


class TokenClaims(Unauthenticated):
    """A required claim is missing or of the wrong form."""

    slug, title = "token-claims", "Claims missing"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class TokenRevoked(Unauthenticated):
    """The host application has revoked the user since the token was signed."""

    slug, title = "token-revoked", "Token revoked"

    def __init__(self) -> None:
        super().__init__(
            "The user was revoked after this token was signed. Only his host application can sign a new one."
        )


TOKEN_PROBLEMS = (
    TokenMissing,
    TokenMalformed,
    TokenIssuer,
    TokenAlgorithm,
    TokenSignature,
    TokenClaims,
    TokenExpired,
    TokenLifetime,
    TokenAudience,
    TokenRevoked,
)
"""What can be wrong with a host's JWT."""


class UnknownServer(Unauthenticated):
    """A save bridge whose server the service did not start, or that has been stopped."""

    slug, title = "unknown-server", "Unknown notebook server"

    def __init__(self) -> None:
        super().__init__("This credential belongs to no running notebook server of this service.")


# -- 403: not you --------------------------------------------------------------------------------


class Forbidden(Problem):
    """Known, and not allowed."""

    slug, title, status = "forbidden", "Not allowed", 403


class OriginNotAllowed(Forbidden):
    """A browser page calls from an origin that its host application has not registered."""

    slug, title = "origin-not-allowed", "Origin not allowed"

    def __init__(self) -> None:
        super().__init__("This page's origin is not registered for the host application that signed the token.")


class NotAllowed(Forbidden):
    """The host application does not let this user do it; `needs` names the capability that is missing."""

    slug, title = "not-allowed", "Not allowed for this user"

    def __init__(self, needs: str) -> None:
        super().__init__(
            f"This needs the capability `{needs}`, which the host application has not given to this user.", needs=needs
        )


class BackendOnly(Forbidden):
    """Only the host application's own backend may do this."""

    slug, title = "backend-only", "For the host's backend only"

    def __init__(self) -> None:
        super().__init__("Send a token of the host application itself (`sub` = `iss`), from its backend.")


class TicketInvalid(Forbidden):
    """The ticket was not signed by this service, or says nothing it understands."""

    slug, title = "ticket-invalid", "Ticket not valid"

    def __init__(self) -> None:
        super().__init__("The ticket was not made by this service.")


class TicketExpired(Forbidden):
    """The signed URL was opened too late."""

    slug, title = "ticket-expired", "Ticket expired"

    def __init__(self) -> None:
        super().__init__("The signed URL was opened too late. Ask for a new one.")


class TicketUsed(Forbidden):
    """The signed URL was opened before."""

    slug, title = "ticket-used", "Ticket already used"

    def __init__(self) -> None:
        super().__init__("The signed URL was opened before. Ask for a new one.")


class TicketForAnotherServer(Forbidden):
    """The ticket names another server than the one that redeems it."""

    slug, title = "ticket-for-another-server", "Ticket for another server"

    def __init__(self) -> None:
        super().__init__("The ticket opens another server than this one.")


# -- 404 -----------------------------------------------------------------------------------------


class NotFound(Problem):
    """No such thing, or somebody else's: the two look alike."""

    slug, title, status = "not-found", "Not found", 404


class NotebookNotFound(NotFound):
    """The caller has no notebook of this id."""

    slug, title = "notebook-not-found", "Notebook not found"

    def __init__(self) -> None:
        super().__init__("There is no such notebook among this user's.")


class VersionNotFound(NotFound):
    """The notebook has no version of this number."""

    slug, title = "version-not-found", "Version not found"

    def __init__(self) -> None:
        super().__init__("The notebook has no such version.")


class SessionNotFound(NotFound):
    """The caller has no session of this id."""

    slug, title = "session-not-found", "Session not found"

    def __init__(self) -> None:
        super().__init__("There is no such session among this user's.")


class DeliveryNotFound(NotFound):
    """The host application has no webhook delivery of this id."""

    slug, title = "delivery-not-found", "Delivery not found"

    def __init__(self) -> None:
        super().__init__("There is no such webhook delivery. Those that are over are kept for a while only.")


# -- 409, 410, 413, 428, 429 ---------------------------------------------------------------------


class Conflict(Problem):
    """The request does not fit the state that the thing is in."""

    slug, title, status = "conflict", "Conflict", 409


class VersionConflict(Conflict):
    """The write was not based on the notebook's current version. What was written is kept on the side."""

    slug, title = "version-conflict", "Notebook has changed"

    def __init__(self, *, base: int, current: int, kept: int, resolve: str | None) -> None:
        way_out = "; `resolve` is where to take a side or merge the two." if resolve else ", which is an older one."
        super().__init__(
            f"Version {base} is no longer current. What you sent is kept as version {kept}{way_out}",
            base_version=base,
            current_version=current,
            kept_version=kept,
            resolve=resolve,
        )


class NotOnTheSide(Conflict):
    """The version is one of its notebook's own line: no conflict has kept it, so there is nothing to resolve."""

    slug, title = "not-on-the-side", "Nothing to resolve"

    def __init__(self) -> None:
        super().__init__("No conflict has kept this version beside the current one. An old one can be restored.")


class MergeConflict(Conflict):
    """Both sides changed the same things, which `unsettled` names. Nothing was changed: take one of the sides."""

    slug, title = "merge-conflict", "Both sides changed the same"

    def __init__(self, unsettled: Sequence[Mapping[str, Any]], *, current: int, kept: int) -> None:
        super().__init__(
            f"Versions {current} and {kept} change the same in {len(unsettled)} places. Take `mine` or `theirs`.",
            unsettled=list(unsettled),
            current_version=current,
            kept_version=kept,
        )


class NotMergeable(Conflict):
    """One of the versions is no valid notebook, or the two have nothing in common. Take one of the sides."""

    slug, title = "not-mergeable", "Not mergeable"

    def __init__(self) -> None:
        super().__init__("One of the versions to be merged is no valid notebook. Take `mine` or `theirs`.")


class NotEmbeddable(Conflict):
    """The server runs without the save bridge, so it has no signed entry."""

    slug, title = "not-embeddable", "Server cannot be embedded"

    def __init__(self) -> None:
        super().__init__("This notebook server runs without Inset's save bridge: load and save work, a frame does not.")


class SessionNotReady(Conflict):
    """The session has not become ready yet."""

    slug, title = "session-not-ready", "Session is not ready"

    def __init__(self, state: str) -> None:
        super().__init__(f"The session is {state}. Follow its events until it is ready.", state=state)


class NotebookInUse(Conflict):
    """The notebook is open in a session, which must end first."""

    slug, title = "notebook-in-use", "Notebook is open"

    def __init__(self, session_id: str) -> None:
        super().__init__("The notebook is open in a session. End it first.", session_id=session_id)


class SessionLimit(Conflict):
    """As many sessions are open as the host application may have. Waiting alone does not help: one must end."""

    slug, title = "session-limit", "Too many sessions"

    def __init__(self, limit: int, *, of: Literal["host", "user"]) -> None:
        way_out = {
            "user": f"This user may have {limit} open at once. End one of them first.",
            "host": f"The host application may have {limit} open at once. Try again when somebody has finished.",
        }
        super().__init__(way_out[of], limit=limit, of=of)


class SessionDiffers(Conflict):
    """The notebook is open already, in another way than asked for: profile, environment, or a looser data policy."""

    slug, title = "session-differs", "Notebook is open in another way"

    def __init__(self, session_id: str, *, profile: str) -> None:
        super().__init__(
            f"The notebook is open with the profile `{profile}`, in another environment or under another data policy "
            "than is asked for. End that session first, or open the notebook as it is.",
            session_id=session_id,
            profile=profile,
        )


class RequestUnderWay(Conflict):
    """Another request with this `Idempotency-Key` has no answer yet. Sent again later, this one gets the same."""

    slug, title = "request-under-way", "The same request is under way"
    headers: Mapping[str, str] = {"Retry-After": "2"}

    def __init__(self) -> None:
        super().__init__("Another request with this `Idempotency-Key` is still at work. Send it again in a moment.")


class EndpointOff(Conflict):
    """The webhook endpoint was removed, or has been switched off because it answered 410."""

    slug, title = "endpoint-off", "Endpoint is off"

    def __init__(self, name: str) -> None:
        super().__init__(f"The webhook endpoint {name!r} was removed or is switched off: its operator can change that.")


class NotPreviewable(Conflict):
    """The version can't be shown as a page: it is no notebook of nbformat 4, too large, or takes too long."""

    slug, title = "not-previewable", "Version has no preview"

    def __init__(self, reason: str) -> None:
        super().__init__(f"This version can't be shown as a page: {reason}.")


class SessionOver(Problem):
    """The session has ended or failed."""

    slug, title, status = "session-over", "Session is over", 410

    def __init__(self, state: str) -> None:
        super().__init__(f"The session has {state}. Open a new one to go on.", state=state)


class NotebookTooLarge(Problem):
    """The notebook is larger than this service stores, or than it stores for this host application."""

    slug, title, status = "notebook-too-large", "Notebook too large", 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"A notebook may have at most {limit} bytes.", limit=limit)


class BaseVersionRequired(Problem):
    """A replacing write did not say which version it is based on."""

    slug, title, status = "base-version-required", "If-Match required", 428

    def __init__(self) -> None:
        super().__init__('Send the version you read as `If-Match: "<number>"`.')


class RateLimited(Problem):
    """The user has made as many calls in this minute as his host application allows."""

    slug, title, status = "rate-limited", "Too many calls", 429

    def __init__(self, limit: int, *, seconds: int) -> None:
        super().__init__(f"One user may make {limit} calls a minute. Go on in {seconds} seconds.", limit=limit)
        self.headers = {"Retry-After": str(seconds)}


# -- 422 -----------------------------------------------------------------------------------------


class Invalid(Problem):
    """The request is understood, and says something impossible."""

    slug, title, status = "invalid", "Not valid", 422


class InvalidRequest(Invalid):
    """The request does not fit its schema; `errors` says where."""

    slug, title = "invalid-request", "Request not valid"


class NotJson(Invalid):
    """The content is not JSON."""

    slug, title = "not-json", "Content is not JSON"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The content cannot be read as JSON: {reason}.")


class NotANotebook(Invalid):
    """The content is JSON, and no notebook."""

    slug, title = "not-a-notebook", "Content is not a notebook"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The content is not a valid notebook: {reason}.")


class UnsupportedNbformat(Invalid):
    """The notebook is of another major format than 4."""

    slug, title = "unsupported-nbformat", "Notebook format not supported"

    def __init__(self, nbformat: object) -> None:
        named = repr(nbformat)[:20]
        super().__init__(f"The notebook has nbformat {named}; `jupyter nbconvert --to notebook` makes it nbformat 4.")


class InvalidCursor(Invalid):
    """The cursor was not given by this list."""

    slug, title = "invalid-cursor", "Cursor not valid"

    def __init__(self) -> None:
        super().__init__("Take `cursor` from `next_cursor` of the list before, unchanged.")


class KeyReused(Invalid):
    """An `Idempotency-Key` was used again for another request."""

    slug, title = "idempotency-key-reused", "Idempotency-Key reused"

    def __init__(self) -> None:
        super().__init__("This `Idempotency-Key` was used within 24 hours for a request with another body.")


class NotComparable(Invalid):
    """A version is no notebook, so that there are no cells to compare. Its bytes can still be had."""

    slug, title = "not-comparable", "Version cannot be compared"

    def __init__(self, version: int) -> None:
        super().__init__(f"Version {version} cannot be read as cells. Download it to see what it is.", version=version)


class DiffTooLarge(Invalid):
    """The two versions are together larger than what is compared."""

    slug, title = "diff-too-large", "Versions too large to compare"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Two versions may have at most {limit} bytes together to be compared here.", limit=limit)


class UnknownProfile(Invalid):
    """The host application has no profile of this name; `profiles` names those it has."""

    slug, title = "unknown-profile", "Unknown profile"

    def __init__(self, name: str, offered: Sequence[str]) -> None:
        names = ", ".join(f"`{offer}`" for offer in offered) or "none: its registration names none that is defined"
        super().__init__(
            f"This host application has no profile `{name[:64]}`. It may use {names}.", profiles=list(offered)
        )


class EnvironmentNotAllowed(Invalid):
    """The profile lets a host set no variables of these names; `allowed` has the patterns of those it may."""

    slug, title = "environment-not-allowed", "Environment not allowed"

    def __init__(self, names: Sequence[str], allowed: Sequence[str]) -> None:
        patterns = ", ".join(f"`{pattern}`" for pattern in allowed) or "none"
        super().__init__(
            f"A session's environment may not set {', '.join(f'`{name}`' for name in names)}. "
            f"Allowed names: {patterns}; never those that steer the server itself.",
            names=list(names),
            allowed=list(allowed),
        )


class InternalError(Problem):
    """Something unforeseen; it is in the service's log."""

    slug, title, status = "internal-error", "Internal error", 500

    def __init__(self) -> None:
        super().__init__("Something unforeseen happened here. It is in the service's log.")


class ContentDamaged(Problem):
    """A version's bytes are no longer those that were stored: the database's disk or a hand in it has changed them."""

    slug, title, status = "content-damaged", "Content damaged", 500

    def __init__(self) -> None:
        super().__init__(
            "What is stored of this version is not what was saved, and is not given out. Older versions may be whole."
        )


# -- 501 -----------------------------------------------------------------------------------------


class PolicyNotEnforceable(Problem):
    """The host application's data is restricted, and nothing here could hold a notebook's user to that."""

    slug, title, status = "policy-not-enforceable", "Restricted data can't be kept inside here", 501

    def __init__(self) -> None:
        super().__init__(
            "Notebooks of restricted data open only behind an edge, and this service knows of none. Whoever runs it "
            "finds out with `inset doctor`."
        )


# -- 503 -----------------------------------------------------------------------------------------


class Upstream(Problem):
    """Something behind the service does not do its part; trying again later may help."""

    slug, title, status = "upstream", "Not available", 503
    headers: Mapping[str, str] = {"Retry-After": "5"}


class HubUnavailable(Upstream):
    """JupyterHub does not answer, or answers nonsense."""

    slug, title = "hub-unavailable", "JupyterHub not available"

    def __init__(self) -> None:
        super().__init__("The notebook hub does not answer as it should. Try again in a moment.")


class HubBusy(Upstream):
    """JupyterHub has no room for another start just now."""

    slug, title = "hub-busy", "JupyterHub is busy"

    def __init__(self) -> None:
        super().__init__("The notebook hub starts too many servers at once. Try again in a moment.")


class ServerGone(Upstream):
    """The session's notebook server does not answer."""

    slug, title = "server-gone", "Notebook server is gone"

    def __init__(self) -> None:
        super().__init__(
            "The notebook server does not answer. The last saved version is safe; open the notebook again."
        )


class KeysUnavailable(Upstream):
    """The host application's published keys could not be fetched, so its token can be neither believed nor refused."""

    slug, title = "keys-unavailable", "Keys not available"

    def __init__(self) -> None:
        super().__init__("The host application's `jwks_url` does not answer as it should. Try again in a moment.")


class DatabaseUnavailable(Upstream):
    """The service's database is away, locked for too long, or has no room left; nothing of the call was stored."""

    slug, title = "database-unavailable", "Database not available"

    def __init__(self) -> None:
        super().__init__("The service cannot reach its database, or that has no room left. Try again in a moment.")


class PreviewsBusy(Upstream):
    """As many previews are being made as this service makes at once, and more are waiting."""

    slug, title = "previews-busy", "Previews are busy"

    def __init__(self) -> None:
        super().__init__("Too many previews are being made at once. Try again in a moment.")


class QueueFull(Problem):
    """As many of the host application's sessions wait for a place as may. It is not the user's doing: try again."""

    slug, title, status = "queue-full", "The queue is full", 503
    headers: Mapping[str, str] = {"Retry-After": "30"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} of this host application's sessions wait for a place already.", limit=limit)


class NotReady(Problem):
    """This replica can't do all of its work now; `checks` says what keeps it."""

    slug, title, status = "not-ready", "Not ready", 503

    def __init__(self, failed: Sequence[str], *, checks: Sequence[Mapping[str, str | None]]) -> None:
        super().__init__(f"Not as it should be: {', '.join(failed)}.", checks=checks)
