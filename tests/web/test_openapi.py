"""What the OpenAPI document promises is kept: whatever is sent, no server error, and answers of the described shape."""

import json
import re
import shutil

import pytest
from hypothesis import HealthCheck, given, settings

from .conftest import make_client

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


#: A machine that does much else at the same time may be slow; no test is about that.
_PATIENCE = 300


def test_no_request_brings_the_server_down(built_demo, tmp_path):
    # On one's own machine searches may be saved, and are.
    shutil.copytree(built_demo, tmp_path / "demo")
    with make_client(tmp_path / "demo", seconds=_PATIENCE) as client:
        send_what_is_described(client)


def send_what_is_described(client):
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    described = schemathesis.openapi.from_asgi("/openapi.json", client.app, headers={"host": "localhost"})
    asked = 0
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
        )
        def check(case):
            nonlocal asked
            asked += 1
            case.call_and_validate(headers={"host": "localhost"}, checks=wanted, timeout=_PATIENCE)

        check()
    assert asked > 60


def test_every_route_is_described(client):
    document = client.get("/openapi.json").json()
    assert {
        "/api/search",
        "/api/strategy",
        "/api/similar",
        "/api/ask",
        "/api/table",
        "/api/facets",
        "/api/export",
        "/api/batch",
        "/health",
        "/metrics",
    } <= set(document["paths"])
    text = json.dumps(document)
    for name in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        assert name in document["components"]["schemas"]
    filters = document["components"]["schemas"]["Filters"]["properties"]
    assert {"year_from", "mesh", "not_retracted", "expression"} <= set(filters)
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["description"] and "422" not in operation["responses"]
