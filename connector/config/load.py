"""rooms.yaml and the environment → `Config`, or every problem at once."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from connector.base.redact import redact
from connector.config.errors import Check, InvalidConfigError, Problem
from connector.config.leaks import find_leaks
from connector.config.merge import inherit
from connector.config.model import Config, ConfigFile, JoinMode
from connector.config.nodes import ListNode, MappingNode, Node, Path, Place, Scalar, value_of
from connector.config.parse import parse
from connector.config.problems import model_problems

MAX_BYTES = 1 << 20
OVERRIDES: Mapping[str, Path] = {
    "LIVEKIT_URL": ("livekit", "url"),
    "MILLIS_URL": ("millis", "url"),
    "CONNECTOR_LISTEN": ("worker", "listen"),
    "CONNECTOR_PRIVATE_LISTEN": ("worker", "private_listen"),
    "CONNECTOR_ENGINES": ("worker", "engines"),
    "CONNECTOR_MAX_SESSIONS": ("worker", "max_sessions"),
    "CONNECTOR_RECONCILE_EVERY": ("worker", "reconcile_every"),
    "CONNECTOR_DRAIN_TIMEOUT": ("worker", "drain_timeout"),
    "CONNECTOR_CLAIMS": ("worker", "claims"),
    "CONNECTOR_AGENT_NAME": ("worker", "agent_name"),
    "CONNECTOR_EVENTS_URL": ("worker", "events", "url"),
}
"""Environment variables that override a value of the file."""


@dataclass(frozen=True)
class Loaded:
    """A valid configuration and where it comes from.

    Attributes:
        config: The configuration.
        name: How the file is called in messages.
        rule_places: Where each rule stands, as `rooms.yaml:14:5`; same order as `config.rules`.
        digest: Twelve hex digits of the file's SHA-256, to tell versions apart.
        overridden: The environment variables that took effect.
    """

    config: Config
    name: str
    rule_places: tuple[str, ...]
    digest: str
    overridden: tuple[str, ...]


def find_config(path: FilePath | None = None, environ: Mapping[str, str] | None = None) -> FilePath:
    """The file to read: `--config`, else ``CONNECTOR_CONFIG``, else ``./rooms.yaml``. It need not exist."""
    environ = os.environ if environ is None else environ
    return path or FilePath(environ.get("CONNECTOR_CONFIG") or "rooms.yaml")


def load(option: FilePath | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Find, read and check the configuration.

    Args:
        option: The file that `--config` names, if it does.
        environ: Stands in for `os.environ`.

    Raises:
        InvalidConfigError: With every problem that was found.
    """
    path = find_config(option, environ)
    return load_text(read_file(path), name=redact(path), environ=environ)


def read_file(path: FilePath) -> str:
    """The file's text; at most 1 MiB, UTF-8, a byte order mark is dropped.

    Raises:
        InvalidConfigError: It cannot be read, or is no such file.
    """
    name = redact(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise _file_problem(Check.FILE_UNREADABLE, name, f"is {kind}: name the file itself")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "name it with --config or CONNECTOR_CONFIG, or write ./rooms.yaml"
        raise _file_problem(Check.FILE_MISSING, name, f"is not there: {hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not a file name"
        raise _file_problem(Check.FILE_UNREADABLE, name, f"cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise _file_problem(Check.FILE_TOO_LARGE, name, "is larger than 1 MiB: join rules by patterns with * and ?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _file_problem(Check.NOT_UTF8, name, f"is not UTF-8 text (line {line}): save it as UTF-8") from None


def load_text(text: str, *, name: str = "rooms.yaml", environ: Mapping[str, str] | None = None) -> Loaded:
    """Check a configuration that is already in memory.

    Args:
        text: The YAML text.
        name: How problems call it.
        environ: Stands in for `os.environ`; pass ``{}`` for no overrides.

    Raises:
        InvalidConfigError: With every problem that was found.
    """
    environ = os.environ if environ is None else environ
    parsed = parse(text, name)
    problems = parsed.problems
    root = parsed.root
    if root is None or parsed.broken:
        raise InvalidConfigError(problems)
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, ListNode) else "a text"
        message = f"expected a mapping with the keys livekit, millis, rooms, found {kind}"
        raise InvalidConfigError([*problems, Problem(Check.MAPPING, root.place, (), message)])
    problems += find_leaks(root)
    overridden = _override(root, environ, problems)
    _add_required_blocks(root)
    config_file: ConfigFile | None = None
    try:
        config_file = ConfigFile.model_validate(value_of(root))
    except ValidationError as error:
        known = {(problem.place, problem.path) for problem in problems}
        problems += [p for p in model_problems(error, root) if (p.place, p.path) not in known]
    problems += _agents_missing(root)
    if problems or config_file is None:
        raise InvalidConfigError(problems)
    rooms = root.entries["rooms"]
    places = tuple(str(rule.place) for rule in rooms.items) if isinstance(rooms, ListNode) else ()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Loaded(_resolve(config_file), name, places, digest, overridden)


def _resolve(file: ConfigFile) -> Config:
    rules = tuple(inherit(rule, file.defaults) for rule in file.rooms)
    return Config(livekit=file.livekit, millis=file.millis, worker=file.worker, rules=rules)


def _override(root: MappingNode, environ: Mapping[str, str], problems: list[Problem]) -> tuple[str, ...]:
    """Put the environment's values into the document, each with the variable as its place."""
    applied: list[str] = []
    for variable, path in OVERRIDES.items():
        text = environ.get(variable)
        if text is None:
            continue
        place = Place(variable)
        if not text.strip():
            message = "is set but empty: give it a value or unset it"
            problems.append(Problem(Check.OVERRIDE_EMPTY, place, path, message))
            continue
        block: Node = root
        for key in path[:-1]:
            block = _block(block, str(key))
        if isinstance(block, MappingNode):
            block.put(str(path[-1]), Scalar(text.strip(), plain=True, place=place), place)
            applied.append(variable)
    return tuple(applied)


def _add_required_blocks(root: MappingNode) -> None:
    """An absent block is reported by what is missing inside it, which is what the user has to write."""
    for key in ("livekit", "millis"):
        _block(root, key)


def _block(parent: Node, key: str) -> Node:
    """The block of this name, made when it is absent or empty."""
    if not isinstance(parent, MappingNode):
        return parent
    node = parent.entries.get(key)
    if node is None or (isinstance(node, Scalar) and node.is_null):
        node = MappingNode(parent.key_places.get(key, parent.place))
        parent.put(key, node, node.place)
    return node


def _agents_missing(root: MappingNode) -> Iterable[Problem]:
    """Rules without an agent, found on the document so that they are reported together with everything else."""
    defaults, rooms = root.entries.get("defaults"), root.entries.get("rooms")
    inherited = defaults.entries if isinstance(defaults, MappingNode) else {}
    for index, rule in enumerate(rooms.items if isinstance(rooms, ListNode) else ()):
        if not isinstance(rule, MappingNode):
            continue
        join = rule.entries.get("join", inherited.get("join"))
        never = isinstance(join, Scalar) and join.text == JoinMode.NEVER
        if not never and "agent" not in rule.entries and "agent" not in inherited:
            message = "is missing: write the Millis agent id here or under defaults (or join: never)"
            yield Problem(Check.AGENT_MISSING, rule.place, ("rooms", index, "agent"), message)


def _file_problem(check: Check, name: str, message: str) -> InvalidConfigError:
    return InvalidConfigError([Problem(check, Place(name), (), message)])
