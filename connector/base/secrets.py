"""The secret type: a value that never shows itself, and how it is read from the environment or a file."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from connector.base.errors import ConfigError

_MAX_FILE_BYTES = 64 * 1024


class Secret:
    """A secret text. `str`, `repr`, formatting, pickling and JSON never reveal it; only `reveal()` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if value:
            _known.add(value)

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled")


_known: set[str] = set()


def known_secrets() -> frozenset[str]:
    """Every secret text that this process holds, for `redact`."""
    return frozenset(_known)


def read_secret(name: str, environ: Mapping[str, str] | None = None) -> Secret | None:
    """Read the secret `name` from the environment, or from the file that `<name>_FILE` names.

    Args:
        name: The variable, for example ``LIVEKIT_API_SECRET``.
        environ: Stands in for `os.environ`.

    Returns:
        The secret without surrounding white space, or None when neither variable is set.

    Raises:
        ConfigError: Both are set, the file cannot be read or is too large, or the value is empty.
    """
    environ = os.environ if environ is None else environ
    direct, file = environ.get(name), environ.get(f"{name}_FILE")
    if direct is not None and file is not None:
        raise ConfigError([f"{name} and {name}_FILE are both set: unset one of them"])
    if file is not None:
        direct = _read_file(f"{name}_FILE", Path(file))
    if direct is None:
        return None
    value = direct.strip()
    if not value:
        raise ConfigError([f"{name} is set but empty: give it a value or unset it"])
    if not value.isprintable():
        raise ConfigError([f"{name} contains control characters or line breaks: check that it holds one key only"])
    return Secret(value)


def readable_by_others(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether `<name>_FILE` names a file that every user of the machine may read (worth a warning)."""
    environ = os.environ if environ is None else environ
    file = environ.get(f"{name}_FILE")
    try:
        return file is not None and bool(Path(file).stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _read_file(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{variable}: cannot read {path}: {error.strerror}"]) from None
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError([f"{variable}: {path} is larger than 64 KiB: that is not a key"])
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigError([f"{variable}: {path} is not UTF-8 text"]) from None


JWT_SHAPE = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?")
"""The shape of a JSON web token, wherever it stands."""
