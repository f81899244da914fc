"""What can be wrong with rooms.yaml: every check by name, and a problem as one line that says what to do.

rooms.yaml:14:7 rooms[1].agent: expected an agent id in quotes, found a list
CONNECTOR_LISTEN: expected host:port such as 0.0.0.0:8080, found "8080"
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Self

from pydantic_core import PydanticCustomError

from connector.base.errors import ConfigError
from connector.config.nodes import Path, Place, path_text

MAX_SHOWN = 50
"""So many problems are shown; the rest is counted."""


class Check(StrEnum):
    """Every validation rule: its id, and what it asks for in one sentence (the reference prints it)."""

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        """A member is its id; the description goes beside it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    FILE_MISSING = "file_missing", "The file is there."
    FILE_UNREADABLE = "file_unreadable", "It is a regular file that the connector may read."
    FILE_TOO_LARGE = "file_too_large", "It is not larger than 1 MiB."
    NOT_UTF8 = "not_utf8", "It is UTF-8 text; a byte order mark is allowed."
    CONTROL_CHARACTER = "control_character", "It holds no control characters and no Unicode line separators."
    FILE_EMPTY = "file_empty", "It says something."
    SYNTAX = "syntax", "It is YAML."
    TAB = "tab", "It is indented with spaces."
    ANCHOR = "anchor", "It has no anchors (`&name`)."
    ALIAS = "alias", "It has no aliases (`*name`); a pattern that begins with `*` stands in quotes."
    TAG = "tag", "It has no tags (`!name`)."
    DUPLICATE_KEY = "duplicate_key", "No key occurs twice in a mapping."
    KEY_TEXT = "key_text", "Every key is a text."
    SEVERAL_DOCUMENTS = "several_documents", "It is one YAML document."
    DEPTH = "depth", "It is nested at most 16 deep."
    SECRET_KEY = "secret_key", "No key is named secret, password, token, api_key or private_key, nor ends so."
    SECRET_TOKEN = "secret_token", "Nothing in it has the shape of a JSON web token."
    SECRET_USER_INFO = "secret_user_info", "No URL in it carries a user name or password."
    UNKNOWN_KEY = "unknown_key", "Every key is known."
    MISSING_KEY = "missing_key", "Every required key is there."
    MAPPING = "mapping", "Where keys belong, there is a mapping."
    LIST = "list", "Where a list belongs, there is a list."
    LIST_EMPTY = "list_empty", "A list that must name something is not empty."
    TOO_MANY = "too_many", "Lists and mappings keep to their bounds; there are at most 5,000 rules."
    TEXT = "text", "Where a text belongs, there is a text (quote it)."
    TEXT_LENGTH = "text_length", "Texts are not empty and keep to their bounds, 256 characters for most."
    TEXT_CHARACTERS = "text_characters", "Texts are printable; agent ids have no spaces."
    CHOICE = "choice", "A value from a closed set is one of that set."
    NUMBER = "number", "Where a number belongs, there is a number."
    NUMBER_RANGE = "number_range", "A number lies in its range."
    DURATION = "duration", "A duration is a number and a unit: `500ms`, `10s`, `2m`, `1.5h`."
    DURATION_RANGE = "duration_range", "A duration lies in its range."
    URL = "url", "A URL is complete and has neither query nor fragment."
    URL_SCHEME = "url_scheme", "A URL has a scheme that fits."
    URL_PLAIN = "url_plain", "Plain http or ws is used towards private hosts only."
    ADDRESS = "address", "An address to listen on is host:port."
    ADDRESS_TWICE = "address_twice", "The two listening addresses differ."
    ICE_URL = "ice_url", "An ICE server's URL is a stun: or turn: URL."
    ICE_CREDENTIAL = "ice_credential", "A TURN server has a username and a credential_file."
    FILE_PATH = "file_path", "The path of a file is absolute."
    AGENT_MISSING = "agent_missing", "Every rule has an agent, its own or from defaults, unless it never joins."
    AGENT_CHOICE = "agent_choice", "An agent that is looked up is limited by exactly one of map and allow."
    METADATA_NUMBER = "metadata_number", "Numbers in metadata are exact: whole ones below 2^53, others finite."
    METADATA_SIZE = "metadata_size", "Metadata is at most 8 deep and 8 KiB as JSON."
    OVERRIDE_EMPTY = "override_empty", "An environment variable that overrides a value is not empty."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        check: The validation rule that was broken.
        place: Where.
        path: The path inside the file; empty when the file as a whole is meant, or an environment variable.
        message: What was expected, what was found, what to do.
    """

    check: Check
    place: Place
    path: Path
    message: str

    @property
    def line(self) -> str:
        """The line that a user sees."""
        path = path_text(self.path) if self.place.line else ""
        return f"{self.place}{' ' if path else ''}{path}: {self.message}"


class InvalidConfigError(ConfigError):
    """rooms.yaml, or a variable that overrides it, is wrong.

    Attributes:
        found: Every problem, in the order of the file.
    """

    def __init__(self, found: Iterable[Problem]) -> None:
        self.found = _in_order(found)
        lines = [problem.line for problem in self.found[:MAX_SHOWN]]
        if len(self.found) > MAX_SHOWN:
            lines.append(f"… and {len(self.found) - MAX_SHOWN} more problems")
        super().__init__(lines)


def wrong(check: Check, message: str) -> PydanticCustomError:
    """The error that a validator inside the model raises."""
    return PydanticCustomError(check.value, "{message}", {"message": message})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known word, or all of them when none is near."""
    known = list(known)
    near = get_close_matches(word[:MAX_SHOWN].lower(), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def _in_order(found: Iterable[Problem]) -> list[Problem]:
    unique = {(problem.place, problem.path): problem for problem in reversed(list(found))}
    return sorted(
        unique.values(), key=lambda problem: (problem.place.line, problem.place.column, path_text(problem.path))
    )
