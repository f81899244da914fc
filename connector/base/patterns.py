"""Patterns over names (rooms, identities): ``*`` is any run of characters, ``?`` is exactly one, case matters.

Everything else stands for itself, brackets too. Names come from users, so matching takes time linear in the name's
length for each ``*`` and can never blow up.
"""

import re
from functools import lru_cache


def is_pattern(text: str) -> bool:
    """Whether the text is a pattern rather than an exact name."""
    return "*" in text or "?" in text


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name matches the pattern."""
    return _compiled(pattern).fullmatch(name) is not None


def covers(pattern: str, other: str) -> bool:
    """Whether every name that `other` matches is certainly matched by `pattern` too (False means: not certain)."""
    return _compiled(pattern, "[^*]").fullmatch(other) is not None


@lru_cache(maxsize=16_384)
def _compiled(pattern: str, one: str = ".") -> re.Pattern[str]:
    """The pattern as a regular expression.

    The part after each ``*`` is searched in an atomic group, so the leftmost place is final: that is right because no
    later part can gain from an earlier one being further right (as in CPython's `fnmatch.translate`).
    """
    parts = [
        "".join(one if character == "?" else re.escape(character) for character in part)
        for part in re.sub(r"\*+", "*", pattern).split("*")
    ]
    if len(parts) == 1:
        return re.compile(parts[0], re.DOTALL)
    first, *middle, last = parts
    searched = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{searched}.*{last}", re.DOTALL)
