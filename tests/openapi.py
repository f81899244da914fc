"""Whether a real answer is one that the OpenAPI document describes."""

from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from connector.http.openapi import document
from connector.http.routes import PUBLIC, Found, find


@cache
def described() -> dict[str, Any]:
    """The document."""
    return document()


def assert_described(response: httpx.Response) -> None:
    """Fail unless the document names this status for this operation, and the body fits the schema given there."""
    request = response.request
    raw_path = request.url.raw_path.decode().partition("?")[0]
    found = find(PUBLIC, request.method, raw_path)
    schema: dict[str, Any] = {"$ref": "#/components/schemas/ErrorBody"}
    if isinstance(found, Found):
        (route,) = [route for route in PUBLIC if route.name is found.name]
        answers = described()["paths"][route.path][route.method.lower()]["responses"]
        assert str(response.status_code) in answers, f"{route.name} does not name {response.status_code}"
        answer = answers[str(response.status_code)]
        assert {name.lower() for name in answer.get("headers", {})} <= set(response.headers)
        ((content_type, content),) = answer["content"].items()
        assert response.headers["Content-Type"] == content_type
        schema = content["schema"]
    fit(schema, response.json())


def fit(schema: dict[str, Any], value: object) -> None:
    """Fail unless a value fits a schema of the document."""
    Draft202012Validator({**schema, "components": described()["components"]}).validate(value)
