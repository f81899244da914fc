import pytest

from connector.base.causes import Cause
from connector.base.ends import EndReason, ResultClass
from connector.base.secrets import Secret
from connector.millis.responses import OfferOutcome, describe_body, judge_status, read_answer, retry_after

REJECTED, UNREACHABLE = EndReason.AGENT_REJECTED, EndReason.AGENT_UNREACHABLE
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "outcome", "reason", "retryable", "may_have_begun"),
    [
        (201, OfferOutcome.BAD_ANSWER, UNREACHABLE, True, True),
        (204, OfferOutcome.BAD_ANSWER, UNREACHABLE, True, True),
        (302, OfferOutcome.AMBIGUOUS, UNREACHABLE, True, True),
        (307, OfferOutcome.AMBIGUOUS, UNREACHABLE, True, True),
        (400, OfferOutcome.CONFIG, REJECTED, False, False),
        (401, OfferOutcome.AUTH, REJECTED, False, False),
        (402, OfferOutcome.CONFIG, REJECTED, False, False),
        (403, OfferOutcome.AUTH, REJECTED, False, False),
        (404, OfferOutcome.CONFIG, REJECTED, False, False),
        (408, OfferOutcome.AMBIGUOUS, UNREACHABLE, True, True),
        (422, OfferOutcome.CONFIG, REJECTED, False, False),
        (429, OfferOutcome.RATE, REJECTED, True, False),
        (500, OfferOutcome.SERVER, UNREACHABLE, True, True),
        (502, OfferOutcome.SERVER, UNREACHABLE, True, True),
        (503, OfferOutcome.SERVER, UNREACHABLE, True, False),
        (504, OfferOutcome.SERVER, UNREACHABLE, True, True),
        (599, OfferOutcome.SERVER, UNREACHABLE, True, True),
    ],
)
def test_what_a_status_means(
    status: int, outcome: OfferOutcome, reason: EndReason, retryable: bool, may_have_begun: bool
) -> None:
    """Only a refusal is certain to have begun nothing; only what may pass by itself is tried again."""
    verdict = judge_status(status)
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert (verdict.retryable, verdict.may_have_begun) == (retryable, may_have_begun)
    assert verdict.error("x").cause == outcome.value


def test_every_outcome_of_a_failed_offer_is_a_cause() -> None:
    """What operators count as an outcome is what the session's end is remembered by."""
    assert {outcome.value for outcome in OfferOutcome} - {"ok"} <= {cause.value for cause in Cause}


def test_200_is_judged_by_its_body() -> None:
    """200 is the one status that carries an answer."""
    assert judge_status(200) is None


@pytest.mark.parametrize("status", [*range(201, 600, 7), 429, 503])
def test_every_status_has_a_remedy(status: int) -> None:
    """Each verdict makes an error of one line that ends with what to do, and 4xx is the client's error."""
    verdict = judge_status(status)
    assert verdict is not None
    error = verdict.error(f"HTTP {status}")
    assert str(error).startswith(f"HTTP {status}. ")
    assert verdict.remedy in str(error)
    assert "\n" not in str(error)
    if error.reason is REJECTED:
        assert error.reason.result is ResultClass.CLIENT_ERROR


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (None, None, None),
        ("0", None, 0.0),
        ("7", None, 7.0),
        (" 12 ", None, 12.0),
        ("3600", None, 60.0),
        ("9" * 400, None, 60.0),
        ("-5", None, None),
        ("soon", None, None),
        ("٣", None, None),
        ("Tue, 14 Nov 2023 22:13:50 GMT", None, 30.0),
        ("Tue, 14 Nov 2023 22:13:50", None, 30.0),
        ("Tue, 14 Nov 2023 21:00:00 GMT", None, 0.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", "Tue, 14 Nov 2023 22:13:45 GMT", 5.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", "yesterday", 30.0),
        ("Fri, 31 Feb 2023 22:13:50 GMT", None, None),
    ],
)
def test_retry_after_is_read_and_capped(value: str | None, date: str | None, seconds: float | None) -> None:
    """Seconds or a date, against the reply's own clock where it has one, never above 60 s."""
    assert retry_after(value, date, NOW) == seconds


def test_an_error_body_is_opaque_short_and_without_secrets() -> None:
    """Text from the server becomes one line of at most 300 characters in which our key does not stand."""
    key = Secret("millis-canary-0815").reveal()
    body = ('{"detail": "bad key ' + key + "\nBearer eyJhbGciOi.eyJzdWIiOiI.sig" + "x" * 500 + '"}').encode()
    text = describe_body(body + b"\xff\xfe")
    assert key not in text
    assert "eyJ" not in text
    assert len(text) <= 300
    assert text.isprintable()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "not JSON: an empty body"),
        (b"<html>busy</html>", "not JSON: <html>busy</html>"),
        (b'{"answer": {"sdp": "v=0"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[]", "JSON without an answer object"),
        (b"null", "JSON without an answer object"),
        (b'{"detail": "ok"}', "JSON without an answer object"),
        (b'{"answer": null}', "JSON without an answer object"),
        (b'{"answer": "v=0"}', "JSON without an answer object"),
        (b'{"answer": {"sdp": "v=0"}}', "an answer without type"),
        (b'{"answer": {}}', "an answer without sdp and type"),
    ],
)
def test_wrong_bodies_are_named(body: bytes, found: str) -> None:
    """Every wrong shape of a 200 is told apart, none raises."""
    text = read_answer(body)
    assert isinstance(text, str)
    assert text.startswith(found)


def test_a_good_body_gives_sdp_and_type() -> None:
    """What stands in the answer object comes back as it is, further keys are ignored."""
    assert read_answer(b'{"answer": {"sdp": "v=0", "type": "answer", "id": 7}, "x": 1}') == ("v=0", "answer")
