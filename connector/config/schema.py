"""The JSON schema of rooms.yaml, draft-07 and in one piece, so that editors and Helm read it.

It refuses what the loader refuses as far as a schema can say it; what concerns several keys, places or bytes, only the
loader knows.
"""

from typing import Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from connector.config.leaks import LEAK_PATTERNS, SECRET_KEY_PATTERN
from connector.config.model import ConfigFile

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema: TypeAlias = dict[str, Any]


def json_schema() -> Schema:
    """The schema, as plain containers."""
    generated = ConfigFile.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = generated.pop("$defs", {})
    schema = _closed(_inline(generated, definitions))
    return {"$schema": DRAFT, **schema, "title": "rooms.yaml of the room connector"}


class _Generator(GenerateJsonSchema):
    """Shows defaults as they are written in the file."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        out = super().default_schema(schema)
        write = schema["schema"].get("serialization", {}).get("function")
        if isinstance(out.get("default"), dict):
            del out["default"]
        elif write is not None and "default" in out:
            out["default"] = write(schema["default"])
        return out


def _inline(schema: Any, definitions: dict[str, Schema]) -> Any:
    """Put every definition where it is used: draft-07 ignores whatever stands beside a ``$ref``."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _inline({**definitions[name], **beside}, definitions)
    return {key: _inline(value, definitions) for key, value in schema.items() if key != "discriminator"}


def _closed(schema: Any) -> Any:
    """Tighten what pydantic cannot know: no nulls for absent values, key patterns that bind, no secrets."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _closed(value) for key, value in schema.items()}
    _drop_titles(out)
    out = _without_null(out)
    if "properties" in out and out.get("type") == "object":
        out.setdefault("additionalProperties", False)
        if "required" not in out:
            out["type"] = ["object", "null"]
    elif out.get("type") == "object":
        _bind_keys(out)
    elif out.get("type") == "string" and "minLength" in out:
        out["not"] = {"anyOf": [{"pattern": pattern} for pattern in LEAK_PATTERNS]}
    return out


def _drop_titles(schema: Schema) -> None:
    """Titles repeat the key; a property of that name is a schema, not a text."""
    if isinstance(schema.get("title"), str):
        del schema["title"]


def _without_null(schema: Schema) -> Schema:
    """`None` stands for "not written" where pydantic put it last; `Either` puts null first, where it may be written."""
    options = schema.get("anyOf", [])
    if len(options) == 2 and options[1] == {"type": "null"}:  # noqa: PLR2004 - this or null
        beside = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return {**options[0], **beside}
    return schema


def _bind_keys(schema: Schema) -> None:
    """A free mapping: its keys must fit their pattern, and ask for no secret."""
    names = schema.pop("propertyNames", {})
    patterns = schema.pop("patternProperties", {})
    for pattern, values in patterns.items():
        names["pattern"] = pattern
        schema["additionalProperties"] = values
    schema["propertyNames"] = {**names, "not": {"pattern": SECRET_KEY_PATTERN}}
