"""Reading a request's body within bounds: of size, of time, and of memory over all requests at once."""

import asyncio
from http import HTTPStatus

from aiohttp import web

from connector.http.answers import RefusedError, come_again
from connector.http.models import ErrorCode

BODY_S = 10.0
ALL_BODIES_BYTES = 16 << 20
"""Eight of the largest webhooks; ordinary ones have 2 KiB."""


class BodyReader:
    """Reads bodies; all that are being read at once share one budget of memory.

    Args:
        budget: Bytes in all.
        within_s: Seconds for one body.
    """

    def __init__(self, budget: int = ALL_BODIES_BYTES, within_s: float = BODY_S) -> None:
        self._left = budget
        self._within_s = within_s

    async def read(self, request: web.BaseRequest, most: int) -> bytes:
        """The whole body, as it was sent.

        Args:
            request: The request.
            most: The most bytes that it may have.

        Raises:
            RefusedError: 413 too large, 408 too slow, 400 broken off, 503 when all bodies at once are too much.
        """
        if (request.content_length or 0) > most:
            raise _too_large(most)
        body = bytearray()
        try:
            async with asyncio.timeout(self._within_s):
                while chunk := await request.content.readany():
                    if len(body) + len(chunk) > most:
                        raise _too_large(most)
                    self._take(len(chunk))
                    body += chunk
        except TimeoutError:
            message = f"the body did not come within {self._within_s:g} s"
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, ErrorCode.BODY_TIMEOUT, message, close=True) from None
        except (web.RequestPayloadError, ConnectionError):
            message = "the body broke off"
            raise RefusedError(HTTPStatus.BAD_REQUEST, ErrorCode.BAD_REQUEST, message, close=True) from None
        finally:
            self._left += len(body)
        return bytes(body)

    def _take(self, count: int) -> None:
        """Reserve memory; the caller gives back what it kept."""
        if count > self._left:
            raise come_again(ErrorCode.BUSY, "too many bodies at once: send it again")
        self._left -= count


def _too_large(most: int) -> RefusedError:
    message = f"the body is larger than {most} bytes"
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ErrorCode.TOO_LARGE, message, close=True)
