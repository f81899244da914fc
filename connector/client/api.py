"""Talks to a running worker over its HTTP API, with a token made from the LiveKit key for just that call."""

import os
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from livekit import api
from pydantic import ValidationError

from connector.base.errors import ConfigError, ConnectorError, UnavailableError, UsageError
from connector.base.hosts import is_private_host
from connector.base.redact import redact
from connector.base.secrets import Secret, read_secret
from connector.config.load import load
from connector.config.net_kinds import split_address
from connector.http.models import ErrorBody, Joining, Leaving, RoomBody, RoomsBody

_Body = TypeVar("_Body", RoomsBody, RoomBody, Joining, Leaving)
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_TOKEN_FOR = timedelta(minutes=1)
_MAX_BODY = 16 << 20
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a worker listens on, not we


class WorkerApi:
    """One worker's API, as a context manager.

    Args:
        url: Where it is (``http://127.0.0.1:8080``).
        key: The LiveKit key.
        secret: Its secret.
    """

    def __init__(self, url: str, key: str, secret: Secret) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._secret = secret
        self._http = httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def rooms(self) -> tuple[RoomBody, ...]:
        """Every room that a rule matches or that is served.

        Raises:
            UnavailableError: The worker cannot be reached.
            ConnectorError: It refuses, or something else answers there.
        """
        return _read(RoomsBody, self._call("GET", "/v1/rooms", api.VideoGrants(room_list=True))).rooms

    def room(self, room: str) -> RoomBody:
        """One room. Raises like `rooms`."""
        return _read(RoomBody, self._call("GET", _path(room), _admin(room)))

    def join(self, room: str, agent: str | None) -> Joining:
        """Ask for the agent in a room. Raises like `rooms`."""
        body = {} if agent is None else {"agent": agent}
        return _read(Joining, self._call("POST", f"{_path(room)}/join", _admin(room), body))

    def leave(self, room: str) -> Leaving:
        """Send the agent away. Raises like `rooms`."""
        return _read(Leaving, self._call("DELETE", _path(room), _admin(room)))

    def _call(
        self, method: str, path: str, grants: api.VideoGrants, body: Mapping[str, str] | None = None
    ) -> httpx.Response:
        token = api.AccessToken(self._key, self._secret.reveal()).with_grants(grants).with_ttl(_TOKEN_FOR).to_jwt()
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with self._http.stream(method, f"{self._url}{path}", json=body, headers=headers) as stream:
                answer = httpx.Response(stream.status_code, content=self._bounded(stream), request=stream.request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            found = redact(error) or type(error).__name__
            raise UnavailableError(
                f"{redact(self._url)} does not answer ({found}): is the worker running? --api names another one"
            ) from None
        if answer.is_success:
            return answer
        raise _refused(answer)

    def _bounded(self, stream: httpx.Response) -> bytes:
        """The body of an answer, which need not be a worker's."""
        body = bytearray()
        for chunk in stream.iter_bytes():
            body += chunk
            if len(body) > _MAX_BODY:
                raise ConnectorError(f"{redact(self._url)} answers with more than 16 MiB: check --api")
        return bytes(body)


def open_api(url: str | None, config: Path | None, environ: Mapping[str, str] | None = None) -> WorkerApi:
    """The API of the worker that `--api` names, or else of the one on this machine that rooms.yaml describes.

    Raises:
        UsageError: `--api` is no URL, or a public one without TLS: the token would be seen by others.
        ConfigError: rooms.yaml is wrong, or says any free port, or the LiveKit key is not set.
    """
    environ = os.environ if environ is None else environ
    where = _checked(url) if url is not None else _local(load(config, environ).config.worker.listen)
    key, secret = (_needed(name, environ) for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"))
    return WorkerApi(where, key.reveal(), secret)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or parts.username is not None or parts.query:
        raise UsageError(f"--api {redact(url)}: expected a URL such as http://127.0.0.1:8080")
    if parts.scheme == "http" and not is_private_host(host):
        raise UsageError(f"--api {redact(url)}: plain http is accepted for private hosts only: use https")
    return url


def _local(listen: str) -> str:
    host, port = split_address(listen)
    if port == 0:
        raise ConfigError(["worker.listen has port 0, so its real one is not known here: name the worker with --api"])
    host = _ANY_HOST.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _needed(name: str, environ: Mapping[str, str]) -> Secret:
    secret = read_secret(name, environ)
    if secret is None:
        raise ConfigError([f"{name} is not set: the worker's API wants a token made with the same LiveKit key"])
    return secret


def _admin(room: str) -> api.VideoGrants:
    return api.VideoGrants(room_admin=True, room=room)


def _path(room: str) -> str:
    return f"/v1/rooms/{quote(room, safe='')}"


def _read(model: type[_Body], answer: httpx.Response) -> _Body:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        raise ConnectorError(f"{redact(str(answer.url))} is not the connector's API: check --api") from None


def _refused(answer: httpx.Response) -> ConnectorError:
    try:
        said = redact(ErrorBody.model_validate_json(answer.content).error.message)
    except ValidationError:
        said = f"HTTP {answer.status_code} at {redact(str(answer.url))}: not the connector's API, check --api"
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        return ConnectorError(f"{said}: LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be the worker's, the clocks right")
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return UnavailableError(said)
    return ConnectorError(said)
