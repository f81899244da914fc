"""The kinds of value in rooms.yaml. Each reads its literal text, writes it back, and describes itself.

A kind stands in a field's annotation (``Annotated[float, Duration("1s", "1h")]``). It takes a scalar of the file, or a
plain Python value when a model is built in code. Whatever it refuses, it refuses with one sentence.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from connector.config.errors import Check, did_you_mean, wrong
from connector.config.nodes import Place, Scalar, found

T = TypeVar("T")
MAX_TEXT = 256
"""Longest room name, identity and the like, in characters (`facts/faults.md` §3: names)."""
_IN_CODE = Place("code")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?")
_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|m|h)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Kind(ABC, Generic[T]):
    """One kind of value; a new one fills in the four methods that begin with an underscore."""

    @property
    def expected(self) -> str:
        """What belongs here, as the end of "expected …"; the reference prints it too."""
        return self._expected()

    def read(self, value: object) -> T:
        """The value, checked.

        Args:
            value: A `Scalar` or container of the file, or a plain Python value.

        Raises:
            PydanticCustomError: It does not fit; the error's type is the id of a `Check`.
        """
        return self._read(value)

    def write(self, value: T) -> object:
        """The value as it stands in a file."""
        return self._write(value)

    def json_schema(self) -> dict[str, Any]:
        """The kind in JSON schema, draft-07, without look-around in patterns (Helm reads it with Go)."""
        return self._schema()

    @abstractmethod
    def _expected(self) -> str: ...

    @abstractmethod
    def _read(self, value: object) -> T: ...

    def _write(self, value: T) -> object:
        return value

    @abstractmethod
    def _schema(self) -> dict[str, Any]: ...

    def refuse(self, check: Check, value: object, hint: str = "") -> PydanticCustomError:
        """The error for a value that does not fit."""
        return wrong(check, f"expected {self.expected}, found {found(value)}{hint}")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.json_schema()


def as_scalar(value: object) -> Scalar | None:
    """A scalar of the file as it is, a plain Python value as if it stood there; None for containers."""
    match value:
        case Scalar():
            return value
        case None:
            return Scalar("null", plain=True, place=_IN_CODE)
        case bool():
            return Scalar(str(value).lower(), plain=True, place=_IN_CODE)
        case int() | float():
            return Scalar(repr(value), plain=True, place=_IN_CODE)
        case str():
            return Scalar(str(value), plain=False, place=_IN_CODE)
        case _:
            return None


@dataclass(frozen=True)
class Text(Kind[str]):
    """A printable text, as written: ``0123`` and ``no`` stay what they are.

    Attributes:
        what: What it names, with its article.
        longest: The most characters.
        spaces: Whether it may contain spaces.
    """

    what: str = "a text"
    longest: int = MAX_TEXT
    spaces: bool = True

    def _expected(self) -> str:
        return f"{self.what} in quotes"

    def _read(self, value: object) -> str:
        scalar = as_scalar(value)
        if scalar is None or scalar.is_null:
            raise self.refuse(Check.TEXT, value)
        text = scalar.text
        if not 0 < len(text) <= self.longest:
            raise wrong(
                Check.TEXT_LENGTH,
                f"expected {self.what} of 1 to {self.longest} characters, found {len(text)} characters",
            )
        if not text.isprintable():
            raise wrong(Check.TEXT_CHARACTERS, f"expected {self.what} on one line, found control characters in it")
        if not self.spaces and " " in text:
            raise self.refuse(Check.TEXT_CHARACTERS, value, ": take the spaces out")
        return text

    def _schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": self.longest}
        schema["pattern"] = r"^[^\s\x00-\x1f\x7f-\x9f]+$" if not self.spaces else r"^[^\x00-\x1f\x7f-\x9f]+$"
        return schema


@dataclass(frozen=True)
class Choice(Kind[StrEnum]):
    """One of a closed set."""

    of: type[StrEnum]

    def _expected(self) -> str:
        return one_of([str(member) for member in self.of])

    def _read(self, value: object) -> StrEnum:
        scalar = as_scalar(value)
        if scalar is not None and not scalar.is_null:
            try:
                return self.of(scalar.text)
            except ValueError:
                near = did_you_mean(scalar.text, list(self.of))
                raise self.refuse(Check.CHOICE, value, f"; {near}" if near.startswith("did") else "") from None
        raise self.refuse(Check.CHOICE, value)

    def _write(self, value: StrEnum) -> str:
        return str(value)

    def _schema(self) -> dict[str, Any]:
        return {"enum": [str(member) for member in self.of]}


@dataclass(frozen=True)
class Integer(Kind[int]):
    """A whole number; quotes do not matter."""

    least: int
    most: int

    def _expected(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def _read(self, value: object) -> int:
        scalar = as_scalar(value)
        if scalar is None or not _INTEGER.fullmatch(scalar.text):
            raise self.refuse(Check.NUMBER, value)
        number = int(scalar.text)
        if not self.least <= number <= self.most:
            raise self.refuse(Check.NUMBER_RANGE, value)
        return number

    def _schema(self) -> dict[str, Any]:
        return {
            "type": ["integer", "string"],
            "minimum": self.least,
            "maximum": self.most,
            "pattern": "^[+-]?[0-9]{1,18}$",
        }


@dataclass(frozen=True)
class Number(Kind[float]):
    """A decimal number, rounded to 0.001; quotes do not matter."""

    least: float
    most: float

    def _expected(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def _read(self, value: object) -> float:
        scalar = as_scalar(value)
        if isinstance(value, float):
            number = value
        elif scalar is None or not _NUMBER.fullmatch(scalar.text):
            raise self.refuse(Check.NUMBER, value)
        else:
            number = float(scalar.text)
        number = round(number, 3)
        if not self.least <= number <= self.most:
            raise self.refuse(Check.NUMBER_RANGE, value)
        return number

    def _write(self, value: float) -> object:
        return int(value) if value.is_integer() else value

    def _schema(self) -> dict[str, Any]:
        pattern = "^[+-]?[0-9]{1,18}(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?$"
        return {"type": ["number", "string"], "minimum": self.least, "maximum": self.most, "pattern": pattern}


@dataclass(frozen=True)
class Duration(Kind[float]):
    """A time span with its unit; in Python, seconds, rounded to 1 ms. Bounds are durations themselves."""

    least: str
    most: str

    def _expected(self) -> str:
        return f"a duration from {self.least} to {self.most}"

    def _read(self, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = round(float(value), 3)
        else:
            seconds = self._from_text(value)
        if not parse_duration(self.least) <= seconds <= parse_duration(self.most):
            raise self.refuse(Check.DURATION_RANGE, value)
        return seconds

    def _from_text(self, value: object) -> float:
        scalar = as_scalar(value)
        text = "" if scalar is None else scalar.text
        if _DURATION.fullmatch(text):
            return parse_duration(text)
        hint = f"; did you mean {text}s?" if _INTEGER.fullmatch(text) else ""
        raise wrong(Check.DURATION, f"expected a duration such as 500ms, 10s, 2m or 1.5h, found {found(value)}{hint}")

    def _write(self, value: float) -> str:
        return format_duration(value)

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)$"}


@dataclass(frozen=True)
class Either(Kind[Any]):
    """A word, which is None in Python, or another kind: ``auto`` or a number, ``null`` or a text.

    Attributes:
        word: The word.
        other: The other kind.
    """

    word: str
    other: Kind[Any]

    def _expected(self) -> str:
        return f"{self.word} or {self.other.expected}"

    def _read(self, value: object) -> Any:
        scalar = as_scalar(value)
        if value is None or (scalar is not None and (scalar.is_null if self._nothing else scalar.text == self.word)):
            return None
        try:
            return self.other.read(value)
        except PydanticCustomError as error:
            message = error.message().replace("expected ", f"expected {self.word} or ", 1)
            raise PydanticCustomError(error.type, "{message}", {"message": message}) from None

    def _write(self, value: Any) -> object:
        if value is None:
            return None if self._nothing else self.word
        return self.other.write(value)

    def _schema(self) -> dict[str, Any]:
        word = {"type": "null"} if self._nothing else {"const": self.word}
        return {"anyOf": [word, self.other.json_schema()]}

    @property
    def _nothing(self) -> bool:
        """Whether the word is how YAML writes nothing."""
        return self.word == "null"


def one_of(words: Sequence[str]) -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def parse_duration(text: str) -> float:
    """Seconds, to 1 ms, of a duration such as ``10s`` or ``1.5h``.

    Raises:
        ValueError: It is not written so.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration")
    return round(float(match["number"]) * _UNIT_S[match["unit"]], 3)


def format_duration(seconds: float) -> str:
    """The shortest exact text: ``4h``, ``90s``, ``1.5s``."""
    for unit in ("h", "m"):
        if seconds and seconds % _UNIT_S[unit] == 0:
            return f"{int(seconds // _UNIT_S[unit])}{unit}"
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds!r}s"
