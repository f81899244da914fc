import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from connector.base.legs import AudioCodec
from connector.millis.sdp import AnswerCheck, AnswerProblem, CheckedAnswer, check_answer, prepare_offer
from tests.loopback.answers import BAD_ANSWERS, GOOD_ANSWER, changed, good_answer, with_candidates, without

OFFER = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96 0 8\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n"


def passed(sdp: str, *, private_host: bool = False) -> CheckedAnswer:
    answer = check_answer(sdp, private_host=private_host)
    assert isinstance(answer, CheckedAnswer)
    return answer


@pytest.mark.parametrize(("check", "what", "sdp"), BAD_ANSWERS, ids=lambda value: str(value)[:30])
def test_each_bad_answer_fails_its_own_check(check: AnswerCheck, what: str, sdp: object) -> None:
    """A wrong answer is refused by the check that is made for it, and says what was found."""
    problem = check_answer(sdp, private_host=False)
    assert isinstance(problem, AnswerProblem)
    assert problem.check is check
    assert problem.found


def test_every_check_has_a_bad_answer() -> None:
    """A check without a case that fails it is itself a failure."""
    assert {check for check, _, _ in BAD_ANSWERS} | {AnswerCheck.TYPE} == set(AnswerCheck)


@pytest.mark.parametrize("kind", ["pranswer", "offer", "Answer", None, 7])
def test_only_an_answer_is_an_answer(kind: object) -> None:
    """Any type but 'answer' is refused."""
    problem = check_answer(good_answer(), kind, private_host=False)
    assert isinstance(problem, AnswerProblem)
    assert problem.check is AnswerCheck.TYPE


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_a_good_answer_passes_and_is_rewritten(line_end: str) -> None:
    """A good answer keeps its transport and its first codec, and loses everything that nobody needs."""
    answer = passed(good_answer(line_end))
    assert answer.codec is AudioCodec.OPUS
    assert answer.candidates == 2
    assert not answer.dropped
    lines = answer.sdp.split("\r\n")
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 96" in lines
    assert "a=candidate:2 1 udp 1686052607 8.8.8.8 61000 typ srflx" in lines
    assert lines[lines.index("a=ice-ufrag:F7gI") - 1] == "a=end-of-candidates"
    assert "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid" in lines
    assert not [line for line in lines if "PCMU" in line or "example.com" in line or "raddr" in line]


def test_the_rewritten_answer_is_what_the_library_reads() -> None:
    """The library finds codec, candidates, credentials, fingerprint, role and direction in it."""
    media = SessionDescription.parse(passed(good_answer()).sdp).media[0]
    assert [codec.mimeType for codec in media.rtp.codecs] == ["audio/opus"]
    assert [candidate.ip for candidate in media.ice_candidates] == ["8.8.4.4", "8.8.8.8"]
    assert media.ice_candidates_complete
    assert media.ice
    assert media.dtls
    assert (media.ice.usernameFragment, media.ice.password) == ("F7gI", "x9cml/YzichV2+XlhiMu8gzE")
    assert media.dtls.role == "client"
    assert (media.direction, media.rtp.muxId, media.rtcp_mux) == ("sendrecv", "0", True)


@pytest.mark.parametrize(
    ("formats", "codec", "number"),
    [("0 96", AudioCodec.PCMU, "0"), ("8 0 96", AudioCodec.PCMA, "8"), ("101 96 0", AudioCodec.OPUS, "96")],
)
def test_the_answers_first_known_codec_is_used(formats: str, codec: AudioCodec, number: str) -> None:
    """The answerer's own order decides, unknown formats are passed over, and 0 and 8 need no rtpmap."""
    answer = passed(changed("96 0 101", formats).replace("a=rtpmap:0 PCMU/8000\r\n", ""))
    assert answer.codec is codec
    assert f"SAVPF {number}\r\n" in answer.sdp


def test_names_of_codecs_are_read_in_any_case() -> None:
    """SDP encoding names are case-insensitive (RFC 8866 section 6.6)."""
    assert passed(changed("opus/48000/2", "OPUS/48000/2")).codec is AudioCodec.OPUS


def test_a_missing_direction_means_both_ways() -> None:
    """Without a direction sendrecv holds, and the library is told so in words."""
    assert "a=sendrecv" in passed(without("a=sendrecv")).sdp


def test_a_missing_mid_is_filled_in() -> None:
    """An answer that does not name its only section is taken to mean ours."""
    assert "a=mid:0" in passed(without("a=mid")).sdp


def test_session_level_attributes_count_for_the_section() -> None:
    """Fingerprint, role and ICE credentials may stand at session level; so may ice-lite."""
    moved = ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup")
    lines = "".join(f"{line}\r\n" for line in GOOD_ANSWER.splitlines() if line.startswith(moved))
    answer = passed(without(*moved).replace("t=0 0\r\n", f"t=0 0\r\na=ice-lite\r\n{lines}"))
    assert "a=ice-lite" in answer.sdp
    assert "a=setup:active" in answer.sdp


def test_unsupported_fingerprints_stand_beside_a_good_one() -> None:
    """An MD5 fingerprint beside a SHA-256 one is left out, not fatal."""
    answer = passed(changed("a=setup:active", "a=fingerprint:md5 AB:CD\na=setup:active"))
    assert answer.sdp.count("a=fingerprint:") == 1


def test_dropped_candidates_are_counted_by_cause() -> None:
    """What is left out is counted; one usable candidate is enough."""
    answer = passed(
        with_candidates(
            "1 1 udp 1 8.8.8.8 5000 typ host",
            "2 1 udp 1 10.1.2.3 5000 typ host",
            "3 1 udp 1 127.0.0.1 5000 typ host",
            "4 1 udp 1 7d3c2c5e.local 5000 typ host",
            "5 1 tcp 1 8.8.8.8 9 typ host tcptype active",
        )
    )
    assert answer.candidates == 1
    assert answer.dropped == {"private": 1, "loopback": 1, "local_name": 1, "not_udp": 1}


def test_a_private_millis_may_name_private_candidates() -> None:
    """With a private host, loopback and private addresses are kept."""
    sdp = with_candidates("1 1 udp 1 127.0.0.1 5000 typ host", "2 1 udp 1 10.1.2.3 5000 typ host")
    assert passed(sdp, private_host=True).candidates == 2


@given(st.text(max_size=400))
def test_no_text_makes_the_checks_raise(text: str) -> None:
    """Whatever text comes, the outcome is a problem, never an exception."""
    assert isinstance(check_answer(text, private_host=True), AnswerProblem)


@given(st.data())
def test_no_damage_gets_through_unnoticed(data: st.DataObject) -> None:
    """A good answer with lines damaged, doubled or missing is refused, or rewritten to something the library reads."""
    lines = GOOD_ANSWER.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = data.draw(st.sampled_from(["", lines[at] * 2, lines[at][: len(lines[at]) // 2], lines[at] + " \x00ü"]))
        lines[at] = line
    answer = check_answer("\r\n".join(lines), private_host=False)
    if isinstance(answer, CheckedAnswer):
        media = SessionDescription.parse(answer.sdp).media[0]
        assert len(media.ice_candidates) == answer.candidates > 0
        assert media.dtls
        assert media.dtls.fingerprints
        assert media.direction == "sendrecv"


def test_the_offer_asks_for_in_band_fec() -> None:
    """Opus gets minptime=10;useinbandfec=1 behind its rtpmap, the other lines stay."""
    lines = prepare_offer(OFFER).split("\r\n")
    assert lines[3] == "a=fmtp:96 minptime=10;useinbandfec=1"
    assert [line for line in lines if not line.startswith("a=fmtp")] == OFFER.split("\r\n")


def test_an_offer_with_parameters_keeps_them() -> None:
    """Parameters that are there stay, FEC is switched on once, and doing it twice changes nothing."""
    offer = prepare_offer(OFFER + "a=fmtp:96 stereo=0;useinbandfec=0\r\n")
    assert "a=fmtp:96 stereo=0;minptime=10;useinbandfec=1\r\n" in offer
    assert offer.count("a=fmtp") == 1
    assert prepare_offer(offer) == offer
