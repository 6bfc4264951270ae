"""What is counted where it happens. Read by Prometheus, beside the gauges that `gauges.py` reads from the database.

No label takes a value that a caller can make up, or names a person; host applications are named as an operator has
registered them. A process is one replica, so the instruments are the process's: whoever has something to count imports
it.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COUNTED = CollectorRegistry(auto_describe=True)

_BRIEF = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300)
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)

REQUESTS = Counter(
    "inset_requests", "Requests answered, by the route's template.", ["method", "route", "status"], registry=COUNTED
)
REQUEST_SECONDS = Histogram(
    "inset_request_seconds",
    "From a request's arrival to the end of its answer; of an event stream to its beginning.",
    ["method", "route"],
    buckets=_BRIEF,
    registry=COUNTED,
)
STREAMS = Gauge(
    "inset_event_streams", "Open event streams: hosts' pages (session) and save bridges (control).", ["kind"],
    registry=COUNTED,
)  # fmt: skip
HUB_SECONDS = Histogram(
    "inset_hub_call_seconds",
    "Calls to the hub: until its answer was read, or began where it is a stream.",
    ["call", "outcome", "hub"],
    buckets=_BRIEF,
    registry=COUNTED,
)
PHASE_SECONDS = Histogram(
    "inset_session_phase_seconds",
    "What a session spent on its way to ready: queued, starting, loading, and total.",
    ["phase"],
    buckets=_LONG,
    registry=COUNTED,
)
SESSIONS_FAILED = Counter(
    "inset_sessions_failed", "Sessions given up, by the code of their failure.", ["code"], registry=COUNTED
)
QUEUE_REFUSED = Counter(
    "inset_queue_refused", "Sessions refused because their host application's queue was full.", ["host"],
    registry=COUNTED,
)  # fmt: skip
POOL = Counter(
    "inset_pool_servers",
    "Servers started ahead, by what became of them: warm, then taken by a user or replaced, given-up, died; or failed.",
    ["outcome"],
    registry=COUNTED,
)
for _outcome in ("warm", "taken", "replaced", "given-up", "died", "failed"):
    POOL.labels(_outcome)  # there from the start, as below
SESSIONS_ENDED = Counter(
    "inset_sessions_ended", "Sessions that began to end, by their reason.", ["reason"], registry=COUNTED
)
SAVES = Counter(
    "inset_saves",
    "Documents given to the store, by what brought them and what became of them (stored, unchanged, conflict).",
    ["origin", "outcome"],
    registry=COUNTED,
)
SAVE_SECONDS = Histogram(
    "inset_save_seconds", "From a document's check against its base to its commit.", buckets=_BRIEF, registry=COUNTED
)
WEBHOOKS = Counter(
    "inset_webhook_attempts",
    "Attempts to deliver a webhook, by what became of it (delivered, retried, given-up, switched-off).",
    ["outcome"],
    registry=COUNTED,
)
for _outcome in ("delivered", "retried", "given-up", "switched-off"):
    WEBHOOKS.labels(_outcome)  # there from the start: what grows from nothing at all alerts nobody
SAVE_BYTES = Histogram("inset_save_bytes", "Sizes of the documents stored.", buckets=_SIZES, registry=COUNTED)


class Way:
    """Times a session's way to ready, phase by phase, as this replica drives it."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._since = 0.0

    def reached(self, state: str, *, age: float) -> None:
        """Note where a session stands, so many seconds after its opening."""
        if state == self._phase:
            return
        if self._phase and state in ("starting", "loading", "ready"):
            PHASE_SECONDS.labels(self._phase).observe(max(age - self._since, 0))
            if state == "ready":
                PHASE_SECONDS.labels("total").observe(max(age, 0))
        # A session waits from its opening on, whenever a replica gets to it.
        self._phase, self._since = state, 0.0 if state == "queued" else age
