"""Answers: JSON in, JSON out, errors in one shape. An answer names no version and holds no trace of the program."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from connector.http.models import ErrorBody, ErrorCode, ErrorDetail

_HEADERS = {"Server": "connector", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""aiohttp would name its version and Python's where no Server stands."""
RETRY_AFTER_S = 1


class RefusedError(Exception):
    """A request that is refused; the port turns it into its answer.

    Args:
        status: The HTTP status.
        code: For programs.
        message: For people; holds nothing that came with the request beyond what is safe to repeat.
        headers: Further headers.
        close: Close the connection, so that a repetition may reach another replica.
    """

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self._headers = dict(headers or {})
        self._close = close

    def answer(self) -> web.Response:
        """The HTTP answer."""
        body = ErrorBody(error=ErrorDetail(code=self.code, message=str(self)))
        return json_answer(self.status, body, headers=self._headers, close=self._close)


def come_again(code: ErrorCode, message: str) -> RefusedError:
    """A refusal for now (503): another try, best at another replica, may succeed."""
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, code, message, headers=headers, close=True)


def json_answer(
    status: int, body: BaseModel, *, headers: Mapping[str, str] | None = None, close: bool = False
) -> web.Response:
    """An answer in JSON.

    Args:
        status: The HTTP status.
        body: What it says.
        headers: Further headers.
        close: Close the connection after it.
    """
    return bytes_answer(
        status, body.model_dump_json().encode(), content_type="application/json", headers=headers, close=close
    )


def text_answer(status: int, text: str) -> web.Response:
    """An answer in plain text."""
    return bytes_answer(status, text.encode(), content_type="text/plain; charset=utf-8")


def bytes_answer(
    status: int,
    body: bytes,
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    close: bool = False,
) -> web.Response:
    """An answer of ready-made bytes.

    Args:
        status: The HTTP status.
        body: The bytes.
        content_type: Their type, with parameters.
        headers: Further headers.
        close: Close the connection after it.
    """
    answer = web.Response(
        status=status, body=body, headers={**_HEADERS, "Content-Type": content_type, **(headers or {})}
    )
    if close:
        answer.force_close()
    return answer
