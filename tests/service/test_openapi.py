"""The API's description, held against the running service."""

import asyncio
import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.real_hub import ROOT

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    return json.loads((ROOT / "docs" / "openapi.json").read_text())


def test_every_route_says_what_it_does_and_how_it_can_fail(openapi) -> None:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            assert operation["tags"], (method, path)
            if path.startswith("/v1/"):
                assert {"401", "403", "413"} <= set(operation["responses"]), (method, path)


async def test_the_manual_is_served(anonymous) -> None:
    manual = (await anonymous.get("/docs")).text
    assert "Inset" in manual
    assert "https://" not in manual, "nothing of it comes from elsewhere"
    assert (await anonymous.get("/openapi.json")).status_code == 200


@pytest.mark.timeout(600)
async def test_no_input_makes_a_server_error_or_an_answer_that_is_not_documented(anonymous, openapi, host) -> None:
    base = str(anonymous.base_url)
    notebook = (await anonymous.post("/v1/notebooks", json={"name": "N"}, headers=host.bearer())).json()
    session = (await anonymous.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=host.bearer())).json()
    existing = {"notebooks": notebook["id"], "sessions": session["id"]}
    # An event stream lasts as long as its session, so that a call of it would not return.
    schema = schemathesis.openapi.from_dict(openapi).exclude(path_regex="/events$")

    def fuzz(operation) -> None:
        @given(case=operation.as_strategy())
        @settings(max_examples=20, suppress_health_check=list(HealthCheck))
        def every_answer_is_documented(case: Case) -> None:
            # Every other case is of something that exists, so that more than a 404 is met.
            if "id" in case.path_parameters and len(str(case.path_parameters["id"])) % 2:
                case.path_parameters["id"] = existing.get(operation.path.split("/")[2], "x")
            authorized = {"Authorization": f"Bearer {host.token()}"} if operation.path.startswith("/v1") else None
            case.call_and_validate(base_url=base, headers=authorized, checks=CHECKS)

        every_answer_is_documented()

    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:
        await asyncio.to_thread(fuzz, operation)
