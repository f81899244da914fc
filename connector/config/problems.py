"""What pydantic found → problems with a place and one plain sentence."""

import re
from collections.abc import Callable

from pydantic import ValidationError

from connector.config.errors import Check, Problem, did_you_mean
from connector.config.keys import homes_of, known_keys
from connector.config.model import MAX_RULES, UNION_TAGS
from connector.config.nodes import ListNode, MappingNode, Node, Path, Place, found, value_of

_KEY_MARK = "[key]"
"""What pydantic appends to the location of a mapping's key."""
_BY_TYPE = {
    "missing": Check.MISSING_KEY,
    "extra_forbidden": Check.UNKNOWN_KEY,
    "model_type": Check.MAPPING,
    "dict_type": Check.MAPPING,
    "tuple_type": Check.LIST,
    "too_short": Check.LIST_EMPTY,
    "too_long": Check.TOO_MANY,
}
"""The errors that pydantic itself raises for this model; all others carry the id of a check."""
_WORD = re.compile("[A-Za-z0-9_.-]{1,40}")
_FLOOD = 1_000
"""With more errors than this nobody reads suggestions, and finding them would take seconds."""
_OWN: dict[str, Check] = {check.value: check for check in Check}


def model_problems(error: ValidationError, root: MappingNode) -> list[Problem]:
    """Every error of the model, where it stands in the file.

    Args:
        error: What pydantic raised for `value_of(root)`.
        root: The document.
    """
    details = error.errors(include_url=False, include_input=False)
    flood = len(details) > _FLOOD
    problems = (_problem(detail["type"], detail["loc"], detail["msg"], root, flood=flood) for detail in details)
    return [problem for problem in problems if problem is not None]


def _problem(kind: str, loc: tuple[int | str, ...], message: str, root: MappingNode, *, flood: bool) -> Problem | None:
    of_key = bool(loc) and loc[-1] == _KEY_MARK
    path, node, place = _find(loc[:-1] if of_key else loc, root)
    if of_key:
        return Problem(_OWN[kind], place, path, f"as the key, {message}")
    check = _BY_TYPE.get(kind)
    if check is None:
        return Problem(_OWN[kind], node.place if node else place, path, message)
    if check is Check.LIST_EMPTY and _size(node):
        return None  # pydantic counts only the items that were right
    if check is Check.UNKNOWN_KEY:
        return _unknown_key(path, place, flood=flood)
    at = place if node is None else node.place
    return Problem(check, at, path, _SENTENCES[check](path, node))


def _find(loc: tuple[int | str, ...], root: MappingNode) -> tuple[Path, Node | None, Place]:
    """Walk down to a location.

    Returns:
        Its path as the user knows it; its node, None when it is missing; the place of its key, or of the mapping that
        lacks it.
    """
    path: list[str | int] = []
    node: Node | None = root
    place = root.place
    for index, part in enumerate(loc):
        if isinstance(node, MappingNode) and isinstance(part, str) and part in node.entries:
            place, node = node.key_places[part], node.entries[part]
        elif isinstance(node, ListNode) and isinstance(part, int):
            node = node.items[part]
            place = node.place
        elif part in UNION_TAGS and path and path[-1] == "agent":
            continue
        elif isinstance(part, int):
            continue  # one value where a list may stand
        else:
            path.extend(loc[index:])
            return tuple(path), None, place
        path.append(part)
    return tuple(path), node, place


def _missing(path: Path, _node: Node | None) -> str:
    return f"is missing: {_MISSING_HINTS.get(path, 'write it here')}"


def _unknown_key(path: Path, place: Place, *, flood: bool) -> Problem:
    """Name the nearest known key; a key that is no word may be anything, a secret too, and is not shown."""
    word, known = str(path[-1]), known_keys(path[:-1])
    if not _WORD.fullmatch(word):
        message = f"a key that is no word is not known here; known here: {', '.join(known)}"
        return Problem(Check.UNKNOWN_KEY, place, path[:-1], message)
    if flood:
        return Problem(Check.UNKNOWN_KEY, place, path, "is not a known key")
    near, homes = did_you_mean(word, known), homes_of(word)
    if homes and not near.startswith("did"):
        return Problem(Check.UNKNOWN_KEY, place, path, f"is not known here: it belongs to {' or '.join(homes)}")
    return Problem(Check.UNKNOWN_KEY, place, path, f"is not a known key; {near}")


def _not_a_mapping(path: Path, node: Node | None) -> str:
    known = known_keys(path)
    keys = f" with the keys {', '.join(known[:4])}{', …' if len(known) > 4 else ''}" if known else ""  # noqa: PLR2004
    return f"expected a mapping{keys}, found {_seen(node)}"


def _not_a_list(path: Path, node: Node | None) -> str:
    example = "of rules, each beginning with a dash" if path == ("rooms",) else "such as [a, b]"
    return f"expected a list {example}, found {_seen(node)}"


def _empty(_path: Path, node: Node | None) -> str:
    what = "list with at least one value" if isinstance(node, ListNode) else "mapping with at least one key"
    return f"expected a {what}, found none: name one or leave the key out"


def _too_many(path: Path, node: Node | None) -> str:
    if path == ("rooms",):
        return f"expected at most {MAX_RULES} rules, found {_size(node)}: join some of them by a pattern"
    return f"expected fewer values, found {_size(node)}: use patterns with * and ?"


def _size(node: Node | None) -> int:
    match node:
        case ListNode():
            return len(node.items)
        case MappingNode():
            return len(node.entries)
        case _:
            return 0


def _seen(node: Node | None) -> str:
    return "nothing" if node is None else found(value_of(node))


_MISSING_HINTS: dict[Path, str] = {
    ("livekit", "url"): 'write url: "wss://…" here, or set LIVEKIT_URL',
    ("millis", "url"): 'write url: "https://api-west.millis.ai" or "https://api-eu-west.millis.ai", or set MILLIS_URL',
    ("rooms",): "write the rules here, each with room and agent",
}
_SENTENCES: dict[Check, Callable[[Path, Node | None], str]] = {
    Check.MISSING_KEY: _missing,
    Check.MAPPING: _not_a_mapping,
    Check.LIST: _not_a_list,
    Check.LIST_EMPTY: _empty,
    Check.TOO_MANY: _too_many,
}
