"""What the ports report as it happens; metrics listen, the ports know nothing of them.

Every method is called on the event loop, must not block and must not raise.
"""

from enum import StrEnum
from typing import Protocol


class WebhookOutcome(StrEnum):
    """What became of a webhook: a closed set, the label of its metric (`facts/faults.md` §4)."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE = "stale"
    IGNORED = "ignored"
    BAD_AUTH = "bad_auth"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    SHED = "shed"


class HttpObserver(Protocol):
    """Listens to everything; `control.metrics.Metrics` fits it."""

    def webhook(self, event: str, outcome: str) -> None:
        """A webhook was answered.

        Args:
            event: A name of `connector.http.events.EVENT_NAMES`, ``other``, or ``unknown`` when it was not read.
            outcome: A value of `WebhookOutcome`.
        """

    def webhook_handled(self, seconds: float) -> None:
        """How long a webhook took from its complete head to its answer, whatever the answer was."""

    def webhook_age(self, seconds: float) -> None:
        """How old the event of a webhook with a good signature was, by LiveKit's clock and ours; never negative."""

    def api(self, route: str, status: int) -> None:
        """An API call was answered.

        Args:
            route: A value of `connector.http.routes.RouteName`, or ``none``.
            status: The HTTP status.
        """


class Deaf:
    """Does nothing with what it hears."""

    def webhook(self, event: str, outcome: str) -> None:
        """See `HttpObserver`."""

    def webhook_handled(self, seconds: float) -> None:
        """See `HttpObserver`."""

    def webhook_age(self, seconds: float) -> None:
        """See `HttpObserver`."""

    def api(self, route: str, status: int) -> None:
        """See `HttpObserver`."""
