"""This machine's clock against those of LiveKit and Millis, by the Date of their answers.

LiveKit accepts tokens from clocks that are 30 s apart, and refuses at 90 s (`facts/livekit.md` §2).
"""

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

from connector.base.errors import ConnectorError, UnavailableError
from connector.doctor.finding import Finding, Verdict, fine, left_out, warning
from connector.doctor.web import Answer, fetch

CLOCK = "clock"
WARN_S, FAIL_S = 5.0, 30.0


def skew_s(answer: Answer) -> float | None:
    """How far ahead of ours the clock of whoever answered is, in seconds, within half a second and half a round trip.

    None when the answer has no date, or comes out of a cache.
    """
    text = answer.headers.get("date", "")
    if answer.headers.get("age", "0").strip() not in ("", "0"):
        return None
    try:
        theirs = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return theirs + 0.5 - (answer.sent + answer.got) / 2  # the date is cut to whole seconds


def judge(who: str, skew: float | None) -> Finding:
    """What a skew means."""
    if skew is None:
        return left_out(CLOCK, f"{who} does not say what time it is")
    size = abs(skew)
    text = f"this machine's clock is {size:.0f} s {'behind' if skew > 0 else 'ahead of'} that of {who}"
    remedy = "let NTP (chrony, systemd-timesyncd) set it; tokens are refused from about a minute on"
    if size >= FAIL_S:
        return Finding(CLOCK, Verdict.FAILED, f"{text}: {remedy}", ConnectorError.exit_code)
    if size >= WARN_S:
        return warning(CLOCK, f"{text}: {remedy}")
    return fine(CLOCK, f"agrees with that of {who}")


async def look_at_clock(urls: Mapping[str, str]) -> Sequence[Finding]:
    """Compare the clocks.

    Args:
        urls: Who is asked, and under which HTTP address.
    """
    found: list[Finding] = []
    for who, url in urls.items():
        try:
            found.append(judge(who, skew_s(await fetch("HEAD", url, total_s=4.0))))
        except UnavailableError:  # a check of its own says so
            found.append(left_out(CLOCK, f"{who} does not answer"))
    return found
