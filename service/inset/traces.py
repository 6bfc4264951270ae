"""Traces: which one a request belongs to, handed on to the hub, and exported where an operator wants that."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from inset import __version__
from inset.acting import acting

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Kind = Literal["server", "client", "internal"]


def accepted_traceparent(sent: bytes) -> str | None:
    """Take over what a caller sent as `traceparent` (W3C Trace Context), if it is one."""
    return sent.decode() if _TRACEPARENT.fullmatch(sent) else None


class Span:
    """One piece of work. This one is exported nowhere."""

    def name(self, name: str, *, status: int) -> None:
        """Say what it was, and how it ended, now that this is known."""


class Tracer:
    """Hands a trace on as it came: what is called from within a span is told the caller's own `traceparent`."""

    @contextmanager
    def span(self, name: str, *, kind: Kind) -> Iterator[Span]:
        """Do what is in this block as one piece of work, part of the present one."""
        yield _NOWHERE

    async def aclose(self) -> None:
        """Export what is left."""


_NOWHERE = Span()


class ExportingTracer(Tracer):
    """Makes a span of each piece of work, and exports it beside the work."""

    def __init__(self, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": "inset", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("inset", __version__)

    @contextmanager
    def span(self, name: str, *, kind: Kind) -> Iterator[Span]:
        """Do what is in this block as one piece of work, part of the present one, and name it to whom it calls."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        present, propagator = acting(), TraceContextTextMapPropagator()
        around = present.traceparent
        context = propagator.extract({"traceparent": around} if around else {})
        # Carried by the act and by nothing of OpenTelemetry's own, which a stream that is left in another task upsets.
        span = self._tracer.start_span(name, context, kind=SpanKind[kind.upper()], record_exception=False)
        told: dict[str, str] = {}
        propagator.inject(told, set_span_in_context(span))
        present.traceparent = told.get("traceparent", around)
        try:
            yield _Exported(span)
        except Exception as exc:
            # Its kind alone: texts can hold what is nobody's business.
            span.set_status(StatusCode.ERROR, type(exc).__name__)
            raise
        finally:
            present.traceparent = around
            known = {"inset.request_id": present.request_id, "inset.session_id": present.session_id}
            span.set_attributes({key: value for key, value in known.items() if value})
            span.end()

    async def aclose(self) -> None:
        """Export what is left."""
        # Not on the loop, where all stands still meanwhile: a collector may take its time, or be served there itself.
        await asyncio.to_thread(self._provider.shutdown)


class _Exported(Span):
    def __init__(self, span: Any) -> None:
        self._span = span

    def name(self, name: str, *, status: int) -> None:
        self._span.update_name(name)
        self._span.set_attribute("http.response.status_code", status)


def otlp_tracer(endpoint: str) -> Tracer:
    """Export to an OpenTelemetry collector by OTLP over HTTP. Raises `ValueError` where the extra is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as exc:
        raise ValueError("INSET_OTLP_ENDPOINT is set: install the extra `inset[traces]`") from exc
    return ExportingTracer(OTLPSpanExporter(f"{endpoint}/v1/traces"))
