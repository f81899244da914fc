"""The API's description (OpenAPI 3.1), made from the routes and the models. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from connector.http.models import ErrorBody, Joining, JoinRequest, Leaving, RoomBody, RoomsBody
from connector.http.routes import PUBLIC, Route, RouteName

_GIVEN = (ErrorBody, Joining, Leaving, RoomBody, RoomsBody)
_REF = "#/components/schemas/{model}"
_ABOUT = (
    "Ask the room connector to bring its Millis agent into a LiveKit room, to leave it, and what it is doing and why."
    " Callers authenticate with a LiveKit access token, signed by the LiveKit key that the worker uses:"
    " `roomAdmin` for the very room that is asked about, or `roomList` to read all."
)
_STATUSES: Mapping[int, str] = {
    400: "The request is not understood: the room's name, or the body.",
    401: "No token, or one that is not accepted.",
    403: "The token, or the room's rule, does not allow it.",
    404: "Nothing is known of this room and no rule matches it.",
    408: "The body did not come within 10 s.",
    413: "The body is too large.",
    500: "A fault in the worker; its log says more.",
    503: "Full, draining, or too much at once: ask again after `Retry-After` seconds.",
}
_DONE: Mapping[RouteName, Mapping[int, tuple[str, type[Any] | None]]] = {
    RouteName.JOIN: {200: ("It is served already.", Joining), 202: ("The request was taken.", Joining)},
    RouteName.LEAVE: {200: ("It is not served any more. Idempotent.", Leaving)},
    RouteName.ROOM: {200: ("The room.", RoomBody)},
    RouteName.ROOMS: {200: ("Every room.", RoomsBody)},
    RouteName.OPENAPI: {200: ("This document.", None)},
    RouteName.WEBHOOK: {200: ("Taken, or nothing to do: a repeated, stale or irrelevant event.", None)},
}
_REFUSED: Mapping[RouteName, tuple[int, ...]] = {
    RouteName.JOIN: (400, 401, 403, 404, 408, 413, 500, 503),
    RouteName.LEAVE: (400, 401, 403, 500),
    RouteName.ROOM: (400, 401, 403, 404, 500),
    RouteName.ROOMS: (401, 403, 500),
    RouteName.OPENAPI: (500,),
    RouteName.WEBHOOK: (400, 401, 408, 413, 500, 503),
}
_SUMMARY: Mapping[RouteName, str] = {
    RouteName.JOIN: "Request a session for a room",
    RouteName.LEAVE: "End the session of a room and withdraw a request",
    RouteName.ROOM: "What is known of a room, and why it is served or not",
    RouteName.ROOMS: "Every room that a rule matches or that is served",
    RouteName.OPENAPI: "This document",
    RouteName.WEBHOOK: "For LiveKit: its webhooks",
}
_SECURITY: Mapping[RouteName, list[dict[str, list[str]]]] = {
    RouteName.OPENAPI: [],
    RouteName.WEBHOOK: [{"liveKitWebhook": []}],
}


def document() -> dict[str, Any]:
    """The whole description, as JSON values."""
    models: list[tuple[type[Any], Literal["serialization", "validation"]]] = [(JoinRequest, "validation")]
    models += [(model, "serialization") for model in _GIVEN]
    _, definitions = models_json_schema(models, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in PUBLIC:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Room connector", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"liveKitToken": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "liveKitToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A LiveKit access token with the grant `roomAdmin` and the `room`, or `roomList`.",
                },
                "liveKitWebhook": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A bare LiveKit token with the claim `sha256`, made by LiveKit for this body.",
                },
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": str(route.name),
        "summary": _SUMMARY[route.name],
        "responses": {
            **{str(status): _answer(*answer) for status, answer in _DONE[route.name].items()},
            **{str(status): _refusal(status) for status in _REFUSED[route.name]},
        },
    }
    if route.name in _SECURITY:
        operation["security"] = _SECURITY[route.name]
    if "{room}" in route.path:
        about = "The room's name, percent-encoded: a slash is %2F."
        schema = {"type": "string", "minLength": 1, "maxLength": 256}
        operation["parameters"] = [
            {"name": "room", "in": "path", "required": True, "description": about, "schema": schema}
        ]
    if route.name is RouteName.JOIN:
        operation["requestBody"] = {"required": False, "content": _json(JoinRequest)}
    if route.name is RouteName.WEBHOOK:
        about = "A WebhookEvent of the LiveKit protocol, as JSON."
        content = {"application/webhook+json": {"schema": {"type": "object", "description": about}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(description: str, model: type[Any] | None) -> dict[str, Any]:
    if model is None:
        return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}
    return {"description": description, "content": _json(model)}


def _refusal(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _STATUSES[status], "content": _json(ErrorBody)}
    if status == 503:  # noqa: PLR2004
        answer["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        }
    return answer


def _json(model: type[Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
