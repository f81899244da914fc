"""The kinds of value that name something in the network: URLs, addresses to listen on, ICE servers' URLs."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from connector.base.hosts import is_private_host
from connector.config.errors import Check, wrong
from connector.config.kinds import Kind, Text, as_scalar, one_of
from connector.config.nodes import Scalar, found

_MAX_URL = 1024
_NAME = r"(?=[^:/?]{1,253}(?:[:/?]|$))(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?"
"""A host name in ASCII, or an IPv4 address; resolvers take offence at empty and long labels (RFC 1035 §2.3.4)."""
_IPV6 = r"\[[0-9A-Fa-f:.]{2,45}\]"
_HOST = re.compile(f"{_NAME}|{_IPV6}")
_ADDRESS = re.compile(f"(?P<host>{_NAME}|{_IPV6}):(?P<port>[0-9]{{1,5}})")
_ICE = re.compile(
    f"(?:stuns?:(?:{_NAME}|{_IPV6})(?::(?P<stun>[0-9]{{1,5}}))?"
    f"|turns?:(?:{_NAME}|{_IPV6})(?::(?P<turn>[0-9]{{1,5}}))?(?:\\?transport=(?:udp|tcp))?)"
)
_ICE_SCHEMA = (
    r"^(stuns?:([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?"
    r"|turns?:([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?)$"
)
_MAX_PORT = 65_535
_PLAIN = frozenset({"http", "ws"})
_PRIVATE_PATTERN = (
    r"(localhost|127(\.[0-9]+){3}|10(\.[0-9]+){3}|192\.168(\.[0-9]+){2}|172\.(1[6-9]|2[0-9]|3[01])(\.[0-9]+){2}"
    r"|\[[0-9a-fA-F:.]+\]|[A-Za-z_-][A-Za-z0-9_-]*|[A-Za-z0-9._-]+\.(local|internal|svc|svc\.cluster\.local))\.?"
)
"""Private hosts for the JSON schema: somewhat wider than `is_private_host`, never narrower for names in use."""


@dataclass(frozen=True)
class Url(Kind[str]):
    """A base URL. Plain schemes are accepted for private hosts only; nothing is looked up.

    Attributes:
        schemes: Those accepted; each key becomes its value (``https`` → ``wss`` where a WebSocket is meant).
        path: Whether a path may follow the host.
        example: What a good one looks like.
    """

    schemes: tuple[tuple[str, str], ...]
    example: str
    path: bool = True

    def _expected(self) -> str:
        return f"a URL such as {self.example}"

    def _read(self, value: object) -> str:
        text = Text("a URL", _MAX_URL, spaces=False).read(value)
        names = [name for name, _ in self.schemes]
        scheme = text.partition("://")[0].lower()
        if "://" in text and scheme not in names:
            raise wrong(Check.URL_SCHEME, f"expected {one_of([f'{name}://' for name in names])}, found {found(scheme)}")
        parts = self._split(text)
        if parts is None:
            raise self.refuse(Check.URL, value)
        if parts.query or parts.fragment:
            raise self.refuse(Check.URL, value, ": leave out what follows the ? or #")
        if parts.path.strip("/") and not self.path:
            raise self.refuse(Check.URL, value, f": leave out the path {found(parts.path)}")
        if scheme in _PLAIN and not is_private_host(parts.hostname or ""):
            secure = "wss" if scheme == "ws" else "https"
            raise wrong(
                Check.URL_PLAIN,
                f"{scheme}:// is accepted for private hosts only, found the host {found(parts.hostname or '')}:"
                f" use {secure}://",
            )
        return f"{dict(self.schemes)[scheme]}://{parts.netloc.lower()}{parts.path.rstrip('/')}"

    @staticmethod
    def _split(text: str) -> SplitResult | None:
        """The parts, or None when it is not a complete URL in ASCII."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            return None
        host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
        if not parts.scheme or not _HOST.fullmatch(host) or port == 0:
            return None
        return parts if re.fullmatch(r"[!-~]*", text) and "\\" not in text else None

    def _schema(self) -> dict[str, Any]:
        tail = r"(:[0-9]{1,5})?" + (r"(/[^\s?#@\\]*)?$" if self.path else "/?$")
        plain = [name for name, _ in self.schemes if name in _PLAIN]
        secure = [name for name, _ in self.schemes if name not in _PLAIN]
        host = r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])"
        return {
            "type": "string",
            "maxLength": _MAX_URL,
            "pattern": f"^(({'|'.join(secure)})://{host}|({'|'.join(plain)})://{_PRIVATE_PATTERN}){tail}",
        }


@dataclass(frozen=True)
class Address(Kind[str]):
    """Where to listen: ``host:port``; port 0 is any free one."""

    def _expected(self) -> str:
        return "host:port such as 0.0.0.0:8080"

    def _read(self, value: object) -> str:
        scalar = as_scalar(value)
        match = _ADDRESS.fullmatch(scalar.text) if scalar else None
        if match is None or int(match["port"]) > _MAX_PORT:
            raise self.refuse(Check.ADDRESS, value)
        return match[0]

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$"}


def split_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port of an address that `Address` accepted."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


@dataclass(frozen=True)
class IceUrl(Kind[str]):
    """The URL of a STUN or TURN server (RFC 7064, RFC 7065)."""

    def _expected(self) -> str:
        return "a URL such as stun:stun.example.com:3478 or turn:turn.example.com:3478?transport=udp"

    def _read(self, value: object) -> str:
        scalar = as_scalar(value)
        match = _ICE.fullmatch(scalar.text) if scalar else None
        if match is None or not 0 < int(match["stun"] or match["turn"] or 1) <= _MAX_PORT:
            raise self.refuse(Check.ICE_URL, value)
        return match[0]

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": _ICE_SCHEMA}


@dataclass(frozen=True)
class FilePath(Kind[str]):
    """The absolute path of a file that holds a credential."""

    def _expected(self) -> str:
        return "the absolute path of a file, in quotes"

    def _read(self, value: object) -> str:
        text = Text("the path of a file", _MAX_URL).read(value)
        if not text.startswith("/"):
            raise self.refuse(Check.FILE_PATH, value)
        return text

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^/", "maxLength": _MAX_URL}


class OneOrMore:
    """A list that may be written as its only item; the schema says both."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: [value] if isinstance(value, Scalar | str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler(schema)
        return {"anyOf": [listed, listed["items"]]}
