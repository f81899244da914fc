"""The `metadata` of a rule: any JSON object, passed on to Millis as it is, within bounds.

Quoted values are texts. Plain ones are read as JSON would: ``true``, ``null``, ``12``, ``1.5``; everything else, ``no``
and ``0123`` included, stays the text that it is.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from connector.config.errors import Check, wrong
from connector.config.kinds import Kind
from connector.config.leaks import LEAK_PATTERNS, SECRET_KEY_PATTERN
from connector.config.nodes import Scalar, found

MAX_DEPTH = 8
MAX_BYTES = 8 * 1024
_SCHEMA_DEPTH = 3
"""So deep looks the JSON schema; each level doubles its length."""
_EXACT = 2**53
"""Largest whole number that every JSON reader keeps exactly (RFC 8259 §6)."""
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<float>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_WORDS: dict[str, bool] = {"true": True, "false": False}

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True)
class Metadata(Kind[dict[str, Json]]):
    """A JSON object."""

    def _expected(self) -> str:
        return "a mapping"

    def _read(self, value: object) -> dict[str, Json]:
        if not isinstance(value, dict):
            raise self.refuse(Check.MAPPING, value)
        out = {str(key): _json(item, 1) for key, item in value.items()}
        try:
            size = len(json.dumps(out, ensure_ascii=False).encode())
        except UnicodeEncodeError:
            raise wrong(Check.TEXT_CHARACTERS, "expected Unicode text, found half of a surrogate pair in it") from None
        if size > MAX_BYTES:
            raise wrong(Check.METADATA_SIZE, f"expected at most {MAX_BYTES} bytes as JSON, found {size}")
        return out

    def _schema(self) -> dict[str, Any]:
        below = _value_schema(_SCHEMA_DEPTH)
        keys = {"not": {"pattern": SECRET_KEY_PATTERN}}
        return {"type": ["object", "null"], "additionalProperties": below, "propertyNames": keys}


def _value_schema(levels: int) -> dict[str, Any]:
    """A value, looked at so deep, written out: a reference would break where the schema is put into another."""
    plain = ["string", "number", "boolean", "null"]
    leaks = {"type": "string", "anyOf": [{"pattern": pattern} for pattern in LEAK_PATTERNS]}
    if levels == 0:
        return {"not": leaks}
    below = _value_schema(levels - 1)
    keys = {"not": {"pattern": SECRET_KEY_PATTERN}}
    return {
        "type": [*plain, "array", "object"],
        "not": leaks,
        "items": below,
        "additionalProperties": below,
        "propertyNames": keys,
    }


def _json(value: object, depth: int) -> Json:
    if isinstance(value, dict | list | tuple) and depth >= MAX_DEPTH:
        raise wrong(Check.METADATA_SIZE, f"expected at most {MAX_DEPTH} levels, found more")
    match value:
        case dict():
            return {str(key): _json(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [_json(item, depth + 1) for item in value]
        case Scalar():
            return _plain(value) if value.plain else value.text
        case str() | bool() | None:
            return value
        case int() | float():
            return _bounded(value, value)
        case _:
            raise wrong(Check.TEXT, f"expected JSON values, found {type(value).__name__}")


def _plain(scalar: Scalar) -> Json:
    if scalar.is_null:
        return None
    if scalar.text in _WORDS:
        return _WORDS[scalar.text]
    match = _JSON_NUMBER.fullmatch(scalar.text)
    if match is None:
        return scalar.text
    if match["float"]:
        return _bounded(float(scalar.text), scalar)
    digits = len(scalar.text)
    return _bounded(int(scalar.text) if digits < len(str(_EXACT)) + 2 else _EXACT, scalar)


def _bounded(number: float, value: object) -> int | float:
    too_large = isinstance(number, int) and abs(number) >= _EXACT
    if too_large or not math.isfinite(number):
        raise wrong(Check.METADATA_NUMBER, f"expected a number that JSON keeps exactly, found {found(value)}: quote it")
    return number
