"""Every rule of a JSON schema, each with a value that breaks it. Pure; draft-07 as the chart's schema uses it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from jsonschema import Draft7Validator

Schema: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str | int, ...]

_TEXTS = ("", "\x01", "!", "a b", "https://somebody:hidden@example.com", "not-one-of-these")
_ANYTHING: tuple[Any, ...] = (3.5, "\x01", [], {"unheardOf": 1}, True)
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
UNKNOWN = "unheardOf"


@dataclass(frozen=True)
class Violation:
    """A value that breaks one rule.

    Attributes:
        path: Where it belongs; 0 stands for the first item of a list.
        keyword: The rule.
        value: What breaks it.
    """

    path: Path
    keyword: str
    value: Any

    @property
    def pointer(self) -> str:
        """The path as Helm's messages show it."""
        return "/" + "/".join(map(str, self.path)) if self.path else ""

    def document(self) -> Any:
        """Values that hold nothing else."""
        out = self.value
        for step in reversed(self.path):
            out = [out] if isinstance(step, int) else {step: out}
        return out


def violations(schema: Schema, path: Path = ()) -> Iterator[Violation]:
    """All rules of a schema and of what is below it, outside of alternatives."""
    for keyword in schema:
        breaker = _BREAKERS.get(keyword)
        if breaker is not None and (found := breaker(schema)) is not _NONE:
            yield Violation(path, keyword, found)
    for key, below in schema.get("properties", {}).items():
        yield from violations(below, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from violations(schema["additionalProperties"], (*path, "any-key"))
    if isinstance(schema.get("items"), dict):
        yield from violations(schema["items"], (*path, 0))


_NONE = object()


def _types(schema: Schema) -> list[str]:
    found = schema["type"]
    return found if isinstance(found, list) else [found]


def _other_type(schema: Schema) -> Any:
    allowed = _types(schema)
    candidates: tuple[Any, ...] = (3.5, "text", [], {})
    for value in candidates:
        name = "number" if value == 3.5 else next(key for key, kind in _TYPES.items() if type(value) is kind)
        if name not in allowed:
            return value
    return _NONE  # any value will do


def _first_refused(schema: Schema, keyword: str, candidates: tuple[Any, ...]) -> Any:
    only = Draft7Validator({keyword: schema[keyword]})
    for value in candidates:
        if not only.is_valid(value):
            return value
    raise AssertionError(f"no value breaks {keyword} of {schema}")


def _bad_name(schema: Schema) -> Any:
    names = Draft7Validator(schema["propertyNames"])
    bad = next(name for name in ("my_secret", "\x01", "") if not names.is_valid(name))
    return {bad: 1}


def _too_short(schema: Schema) -> Any:
    return "x" * (schema["minLength"] - 1)


def _bad_text(schema: Schema) -> Any:
    return next(text for text in _TEXTS if not re.search(schema["pattern"], text))


_BREAKERS: dict[str, Callable[[Schema], Any]] = {
    "type": _other_type,
    "enum": lambda schema: _first_refused(schema, "enum", _TEXTS[-1:]),
    "pattern": _bad_text,
    "minLength": _too_short,
    "maxLength": lambda schema: "x" * (schema["maxLength"] + 1),
    "minimum": lambda schema: schema["minimum"] - 1,
    "maximum": lambda schema: schema["maximum"] + 1,
    "minItems": lambda schema: [3.5] * (schema["minItems"] - 1),
    "maxItems": lambda schema: [3.5] * (schema["maxItems"] + 1),
    "uniqueItems": lambda _: ["/same", "/same"],
    "minProperties": lambda _: {},
    "maxProperties": lambda schema: {f"key-{index}": 1 for index in range(schema["maxProperties"] + 1)},
    "required": lambda _: {},
    "additionalProperties": lambda schema: {UNKNOWN: 1} if schema["additionalProperties"] is False else _NONE,
    "propertyNames": _bad_name,
    "not": lambda schema: _first_refused(schema, "not", _TEXTS),
    "anyOf": lambda schema: _first_refused(schema, "anyOf", (*_ANYTHING, *_TEXTS)),
    "oneOf": lambda schema: _first_refused(schema, "oneOf", (*_ANYTHING, *_TEXTS)),
}
KEYWORDS = frozenset(_BREAKERS)
"""The rules that are known here."""
ANNOTATIONS = frozenset({"$schema", "title", "description", "default", "x-applies", "properties", "items", "format"})
"""What says nothing about validity, or is walked into."""
