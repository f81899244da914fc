"""The API's description."""

import httpx
import pytest
from jsonschema import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from connector.http.openapi import document
from connector.http.routes import PUBLIC
from tests.http_scene import ports
from tests.openapi import assert_described, described, fit


def test_it_is_valid_openapi() -> None:
    """The document is OpenAPI 3.1."""
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_every_route_stands_in_it() -> None:
    """Each route of the public port is an operation with a summary, answers and a security rule; nothing else is."""
    operations = {
        (path, method): operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {(route.path, route.method.lower()) for route in PUBLIC}
    for operation in operations.values():
        assert operation["summary"]
        assert "500" in operation["responses"]
    assert document()["security"] == [{"liveKitToken": []}]


def test_schemas_are_closed() -> None:
    """Every object of the document says that it has no further keys."""
    for name, schema in document()["components"]["schemas"].items():
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False, name


def test_the_check_of_answers_can_fail() -> None:
    """A body that does not fit, or a status that is not named, is noticed by the tests' own check."""
    with pytest.raises(ValidationError):
        fit({"$ref": "#/components/schemas/Joining"}, {"room": "lobby", "status": "maybe"})
    request = httpx.Request("GET", "http://test/v1/rooms")
    with pytest.raises(AssertionError):
        assert_described(httpx.Response(418, request=request, json={}))


async def test_it_is_served_to_everybody() -> None:
    """`GET /openapi.json` needs no token, and names no version of the program."""
    async with ports("lobby") as running, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{running.url}/openapi.json")
    assert (response.status_code, response.json()) == (200, described())
    assert response.json()["info"]["version"] == "1"
