"""An OpenTelemetry collector as far as it receives traces: what comes by OTLP over HTTP, decoded by OTLP's own code.

collector = Collector()
async with served(collector.app) as url: ...
"""

import gzip
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPE = "application/x-protobuf"


@dataclass
class Collector:
    """Keeps all that it is sent."""

    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    """Whose they are: each `service.name`."""

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])

    def of(self, trace: str) -> dict[str, Span]:
        """Give the spans of one trace by their names; of several of one name the first that came."""
        mine = [span for span in self.spans if span.trace_id.hex() == trace]
        return {span.name: span for span in reversed(mine)}

    async def _take(self, request: Request) -> Response:
        assert request.headers["Content-Type"] == _TYPE
        body = await request.body()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {one.value.string_value for one in told.resource.attributes if one.key == "service.name"}
            for scope in told.scope_spans:
                self.spans += scope.spans
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=_TYPE)
