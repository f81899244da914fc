"""Answers as text: a good one in the manner of libwebrtc, and one bad one for every check and every way to fail it."""

from connector.millis.sdp import AnswerCheck

FINGERPRINT = ":".join(["AB"] * 32)
GOOD_ANSWER = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic: WMS stream
m=audio 54400 UDP/TLS/RTP/SAVPF 96 0 101
c=IN IP4 203.0.113.7
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2122260223 8.8.4.4 54400 typ host generation 0 network-id 1
a=candidate:2 1 udp 1686052607 8.8.8.8 61000 typ srflx raddr 10.0.0.7 rport 54400 generation 0
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8gzE
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:active
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:5/sendonly http://example.com/unknown
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtpmap:96 opus/48000/2
a=fmtp:96 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=ssrc:1001 cname:agent
"""


def good_answer(line_end: str = "\r\n") -> str:
    """A complete answer that passes every check."""
    return GOOD_ANSWER.replace("\n", line_end)


def changed(old: str, new: str) -> str:
    """The good answer with a part replaced."""
    assert old in GOOD_ANSWER
    return GOOD_ANSWER.replace(old, new).replace("\n", "\r\n")


def without(*starts: str) -> str:
    """The good answer without the lines that start so."""
    lines = GOOD_ANSWER.splitlines()
    kept = [line for line in lines if not line.startswith(starts)]
    assert len(kept) < len(lines)
    return "".join(f"{line}\r\n" for line in kept)


def with_candidates(*values: str) -> str:
    """The good answer with these candidates instead of its own."""
    return without("a=candidate:") + "".join(f"a=candidate:{value}\r\n" for value in values)


BAD_ANSWERS: list[tuple[AnswerCheck, str, object]] = [
    (AnswerCheck.SIZE, "too long", good_answer() + "a=x-filler:" + "x" * 65_536),
    (AnswerCheck.SYNTAX, "empty", ""),
    (AnswerCheck.SYNTAX, "not text", 42),
    (AnswerCheck.SYNTAX, "prose", "the agent is busy"),
    (AnswerCheck.SYNTAX, "HTML", "<html><body>busy</body></html>"),
    (AnswerCheck.SYNTAX, "a line that is none", changed("a=rtcp-mux", "rtcp-mux please")),
    (
        AnswerCheck.SYNTAX,
        "media line without formats",
        changed("m=audio 54400 UDP/TLS/RTP/SAVPF 96 0 101", "m=audio 1"),
    ),
    (AnswerCheck.ONE_SECTION, "none", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"),
    (AnswerCheck.ONE_SECTION, "a data channel", good_answer() + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"),
    (AnswerCheck.AUDIO, "video", changed("m=audio", "m=video")),
    (AnswerCheck.ACCEPTED, "port 0", changed("m=audio 54400", "m=audio 0")),
    (AnswerCheck.PROFILE, "unencrypted", changed("UDP/TLS/RTP/SAVPF", "RTP/AVP")),
    (AnswerCheck.MID, "another section", changed("a=mid:0", "a=mid:audio")),
    (AnswerCheck.DIRECTION, "inactive", changed("a=sendrecv", "a=inactive")),
    (AnswerCheck.DIRECTION, "recvonly", changed("a=sendrecv", "a=recvonly")),
    (AnswerCheck.DIRECTION, "sendonly", changed("a=sendrecv", "a=sendonly")),
    (AnswerCheck.DIRECTION, "two of them", changed("a=sendrecv", "a=sendrecv\na=recvonly")),
    (AnswerCheck.DIRECTION, "for the session", changed("a=sendrecv\n", "").replace("t=0 0", "t=0 0\r\na=recvonly")),
    (AnswerCheck.RTPMAP, "no rtpmap", changed("96 0 101", "96").replace("a=rtpmap:96 opus/48000/2\r\n", "")),
    (AnswerCheck.CODEC, "unknown codec", changed("96 0 101", "101")),
    (
        AnswerCheck.CODEC,
        "G.722 only",
        changed("96 0 101", "9").replace("a=rtpmap:96 opus/48000/2", "a=rtpmap:9 G722/8000"),
    ),
    (AnswerCheck.CODEC, "Opus at another clock", changed("96 0 101", "96").replace("opus/48000/2", "opus/16000/2")),
    (AnswerCheck.CODEC, "forbidden type", changed("96 0 101", "72").replace("a=rtpmap:96", "a=rtpmap:72")),
    (AnswerCheck.RTCP_MUX, "no rtcp-mux", without("a=rtcp-mux")),
    (AnswerCheck.ICE_CREDENTIALS, "no ufrag", without("a=ice-ufrag")),
    (AnswerCheck.ICE_CREDENTIALS, "no password", without("a=ice-pwd")),
    (AnswerCheck.ICE_CREDENTIALS, "short password", changed("a=ice-pwd:x9cml/YzichV2+XlhiMu8gzE", "a=ice-pwd:secret")),
    (AnswerCheck.FINGERPRINT, "none", without("a=fingerprint")),
    (AnswerCheck.FINGERPRINT, "MD5 only", changed(f"sha-256 {FINGERPRINT}", "md5 " + ":".join(["AB"] * 16))),
    (AnswerCheck.FINGERPRINT, "too short", changed(FINGERPRINT, FINGERPRINT[:-3])),
    (AnswerCheck.FINGERPRINT, "no hex", changed(FINGERPRINT, FINGERPRINT.replace("AB", "XY"))),
    (AnswerCheck.SETUP, "none", without("a=setup")),
    (AnswerCheck.SETUP, "undecided", changed("a=setup:active", "a=setup:actpass")),
    (AnswerCheck.SETUP, "unknown", changed("a=setup:active", "a=setup:sideways")),
    (
        AnswerCheck.CANDIDATE_COUNT,
        "33",
        with_candidates(*[f"{n} 1 udp 1 8.8.8.8 {1000 + n} typ host" for n in range(33)]),
    ),
    (AnswerCheck.CANDIDATE_USABLE, "none", without("a=candidate:")),
    (AnswerCheck.CANDIDATE_USABLE, "private", with_candidates("1 1 udp 1 10.0.0.7 5000 typ host")),
    (AnswerCheck.CANDIDATE_USABLE, "malformed", with_candidates("1 1 udp one 8.8.8.8 5000 typ host", "1")),
    (AnswerCheck.CANDIDATE_USABLE, "TCP", with_candidates("1 1 tcp 1 8.8.8.8 9 typ host tcptype active")),
]
"""Check, what is wrong, the ``sdp`` of the answer. The type of an answer is tried apart."""
