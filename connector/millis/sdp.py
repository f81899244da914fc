"""Session descriptions, pure: what our offer asks for, and what of an answer may be believed.

An answer comes from outside and says where we send datagrams and which certificate we trust, so nothing of it goes to
the WebRTC library as it came: it is parsed here, every check of `AnswerCheck` is applied, and a new description is
written that holds only what passed (RFC 8866 for the syntax, RFC 8829 for what an answer must say).
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from connector.base.legs import AudioCodec
from connector.millis.candidates import UsableCandidate, usable_candidates

MAX_ANSWER_BYTES = 64 * 1024
"""The longest answer that is looked at (`facts`: the library takes 10 MB)."""
MAX_CANDIDATES = 32
OFFERED_MID = "0"
"""What the library calls the first media section of its offer."""

_OPUS_PARAMETERS = {"minptime": "10", "useinbandfec": "1"}
_OPUS_RTPMAP = re.compile(r"a=rtpmap:(\d+) opus/48000", re.IGNORECASE)
_CODECS = {"opus/48000": AudioCodec.OPUS, "pcmu/8000": AudioCodec.PCMU, "pcma/8000": AudioCodec.PCMA}
_RTPMAPS = {AudioCodec.OPUS: "opus/48000/2", AudioCodec.PCMU: "PCMU/8000", AudioCodec.PCMA: "PCMA/8000"}
_STATIC_TYPES = {"0": "pcmu/8000", "8": "pcma/8000"}  # RFC 3551 table 4: these two need no rtpmap
_DYNAMIC_TYPES = range(96, 128)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_HEADER_EXTENSIONS = ("urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:ssrc-audio-level")
_EXTMAP = re.compile(r"([1-9]|1[0-4])(?:/[a-z]+)? (\S+)")  # ids of one-byte headers, RFC 8285 section 4.2
_MEDIA_LINE = re.compile(r"(\S+) (\d{1,5})(?:/\d+)? (\S+) (\S.*)")
_UFRAG = re.compile(r"[!-~]{4,256}")  # RFC 8839 section 5.4, more forgiving about the characters
_PASSWORD = re.compile(r"[!-~]{22,256}")


class AnswerCheck(StrEnum):
    """The checks of an answer, in the order in which they are applied."""

    TYPE = "type"
    SIZE = "size"
    SYNTAX = "syntax"
    ONE_SECTION = "one_section"
    AUDIO = "audio"
    ACCEPTED = "accepted"
    PROFILE = "profile"
    MID = "mid"
    DIRECTION = "direction"
    RTPMAP = "rtpmap"
    CODEC = "codec"
    RTCP_MUX = "rtcp_mux"
    ICE_CREDENTIALS = "ice_credentials"
    FINGERPRINT = "fingerprint"
    SETUP = "setup"
    CANDIDATE_COUNT = "candidate_count"
    CANDIDATE_USABLE = "candidate_usable"


@dataclass(frozen=True, slots=True)
class AnswerProblem:
    """Why an answer cannot be used: the first check that failed, and what was found."""

    check: AnswerCheck
    found: str


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer that passed.

    Attributes:
        sdp: A new description with only what was checked: one codec, the usable candidates, and their end marked.
        codec: The codec to speak and to expect.
        candidates: How many candidates it holds.
        dropped: Candidates that were left out, by cause.
    """

    sdp: str
    codec: AudioCodec
    candidates: int
    dropped: Mapping[str, int]


def prepare_offer(sdp: str) -> str:
    """Ask for in-band FEC in an offer (RFC 7587 section 6.1); without it a libwebrtc or pion peer sends none.

    Args:
        sdp: The offer as the library wrote it.

    Returns:
        The same offer with ``minptime=10;useinbandfec=1`` among the parameters of each Opus format.
    """
    lines = sdp.splitlines()
    opus = {match[1] for line in lines if (match := _OPUS_RTPMAP.match(line))}
    known = {line.split(" ", 1)[0].removeprefix("a=fmtp:") for line in lines if line.startswith("a=fmtp:")}
    out = []
    for line in lines:
        head, _, parameters = line.partition(" ")
        if head.startswith("a=fmtp:") and head.removeprefix("a=fmtp:") in opus:
            out.append(f"{head} {_with_fec(parameters)}")
            continue
        out.append(line)
        match = _OPUS_RTPMAP.match(line)
        if match and match[1] not in known:
            out.append(f"a=fmtp:{match[1]} {_with_fec('')}")
    return "".join(f"{line}\r\n" for line in out)


def _with_fec(parameters: str) -> str:
    kept = [p for p in parameters.split(";") if p and p.split("=")[0].strip() not in _OPUS_PARAMETERS]
    return ";".join(kept + [f"{name}={value}" for name, value in _OPUS_PARAMETERS.items()])


def check_answer(
    sdp: object,
    kind: object = "answer",
    *,
    private_host: bool,
    max_bytes: int = MAX_ANSWER_BYTES,
    mid: str = OFFERED_MID,
) -> CheckedAnswer | AnswerProblem:
    """Check an answer before anything is done with it.

    Args:
        sdp: The description as it came; anything but text is refused.
        kind: The type that came with it.
        private_host: Whether Millis' own host is private: then loopback, link-local and private candidates are kept.
        max_bytes: The longest description that is looked at.
        mid: The name of our offer's media section.

    Returns:
        The rewritten answer, or the first problem found. Never raises, whatever comes in.
    """
    if kind != "answer":
        return AnswerProblem(AnswerCheck.TYPE, f"type {kind!r:.40}, not 'answer'")
    if not isinstance(sdp, str):
        return AnswerProblem(AnswerCheck.SYNTAX, f"sdp is {type(sdp).__name__}, not text")
    size = len(sdp.encode("utf-8", "replace"))
    if size > max_bytes:
        return AnswerProblem(AnswerCheck.SIZE, f"{size} bytes, at most {max_bytes} are accepted")
    answer = _parse(sdp, mid, private_host=private_host)
    for check, problem_of in _CHECKS.items():
        problem = problem_of(answer)
        if problem:
            return AnswerProblem(check, problem)
    return _rewrite(answer)


@dataclass(slots=True)
class _Answer:
    """A parsed answer: attributes by name, session level and those of the first media section."""

    mid: str
    private_host: bool
    well_formed: bool
    media: list[re.Match[str] | None]
    session: dict[str, list[str]] = field(default_factory=dict)
    section: dict[str, list[str]] = field(default_factory=dict)
    usable: list[UsableCandidate] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def values(self, name: str) -> list[str]:
        """The values of an attribute: the section's, else the session's."""
        return self.section.get(name) or self.session.get(name) or []

    def first(self, name: str) -> str:
        """The first value of an attribute, or an empty text."""
        return next(iter(self.values(name)), "")

    @property
    def media_line(self) -> re.Match[str]:
        """Kind, port, profile and formats of the one section; only after the syntax check."""
        line = self.media[0]
        assert line is not None
        return line

    @property
    def formats(self) -> list[str]:
        """Payload types in the answer's order of preference."""
        return self.media_line[4].split()

    @property
    def rtpmaps(self) -> dict[str, str]:
        """Payload type -> ``name/clock`` in lower case, static types included."""
        maps = dict(_STATIC_TYPES)
        for value in self.section.get("rtpmap", []):
            number, _, encoding = value.partition(" ")
            maps[number] = "/".join(encoding.lower().split("/")[:2])
        return maps

    @property
    def chosen(self) -> tuple[str, AudioCodec] | None:
        """The first format that we speak: the answerer's own preference (RFC 3264 section 6.1)."""
        for number in self.formats:
            codec = _CODECS.get(self.rtpmaps.get(number, ""))
            static = _STATIC_TYPES.get(number) is not None
            if codec and number.isascii() and number.isdigit() and (static or int(number) in _DYNAMIC_TYPES):
                return number, codec
        return None


def _parse(sdp: str, mid: str, *, private_host: bool) -> _Answer:
    lines = [line for line in re.split(r"\r?\n", sdp) if line]
    answer = _Answer(mid, private_host, lines[:1] == ["v=0"] and all(line[1:2] == "=" for line in lines), [])
    for line in lines:
        if line.startswith("m="):
            answer.media.append(_MEDIA_LINE.fullmatch(line[2:]))
        elif line.startswith("a=") and len(answer.media) <= 1:
            name, _, value = line[2:].partition(":")
            level = answer.section if answer.media else answer.session
            level.setdefault(name.strip(), []).append(value.strip())
    return answer


def _check_syntax(answer: _Answer) -> str | None:
    if not answer.well_formed:
        return "not a session description (v=0, then lines of the form x=…)"
    return "a malformed media line" if None in answer.media else None


def _check_one_section(answer: _Answer) -> str | None:
    count = len(answer.media)
    return None if count == 1 else f"{count} media sections where one was offered"


def _check_audio(answer: _Answer) -> str | None:
    return None if answer.media_line[1] == "audio" else f"a section of kind {answer.media_line[1]:.20}, not audio"


def _check_accepted(answer: _Answer) -> str | None:
    return None if int(answer.media_line[2]) else "audio is refused (port 0)"


def _check_profile(answer: _Answer) -> str | None:
    profile = answer.media_line[3]
    return None if profile.endswith("RTP/SAVPF") else f"transport {profile:.40}, not encrypted RTP with feedback"


def _check_mid(answer: _Answer) -> str | None:
    mid = answer.first("mid") or answer.mid
    return None if mid == answer.mid else f"media section {mid!r:.40} where {answer.mid!r} was offered"


def _check_direction(answer: _Answer) -> str | None:
    for level in (answer.section, answer.session):
        given = [name for name in _DIRECTIONS if name in level]
        if given:
            return None if given == ["sendrecv"] else f"direction {' and '.join(given)}: the agent must hear and speak"
    return None  # sendrecv is what no direction means (RFC 8866 section 6.7)


def _check_rtpmap(answer: _Answer) -> str | None:
    unknown = [number for number in answer.formats if number not in answer.rtpmaps]
    return f"no rtpmap for payload type {unknown[0]:.20}" if unknown and not answer.chosen else None


def _check_codec(answer: _Answer) -> str | None:
    if answer.chosen:
        return None
    names = ", ".join(answer.rtpmaps.get(number, "?") for number in answer.formats)
    return f"no codec that was offered (Opus, PCMU, PCMA) but {names:.80}"


def _check_rtcp_mux(answer: _Answer) -> str | None:
    return None if "rtcp-mux" in answer.section else "no rtcp-mux"


def _check_ice_credentials(answer: _Answer) -> str | None:
    if not _UFRAG.fullmatch(answer.first("ice-ufrag")):
        return "no usable ice-ufrag"
    return None if _PASSWORD.fullmatch(answer.first("ice-pwd")) else "no usable ice-pwd"


def _check_fingerprint(answer: _Answer) -> str | None:
    known = [pair for pair in map(_fingerprint, answer.values("fingerprint")) if pair]
    if not known:
        return "no SHA-2 fingerprint of the DTLS certificate"
    return "a malformed fingerprint" if any(value is None for _, value in known) else None


def _fingerprint(attribute: str) -> tuple[str, str | None] | None:
    """Algorithm and value; the value None when malformed, the whole None for an algorithm that the library lacks."""
    algorithm, _, value = attribute.partition(" ")
    length = _FINGERPRINT_BYTES.get(algorithm.lower())
    if length is None:
        return None
    good = re.fullmatch(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*", value) and len(value) == 3 * length - 1
    return algorithm.lower(), value.upper() if good else None


def _check_setup(answer: _Answer) -> str | None:
    setup = answer.first("setup")
    return None if setup in {"active", "passive"} else f"setup {setup!r:.20}, not active or passive"


def _check_candidate_count(answer: _Answer) -> str | None:
    count = len(answer.section.get("candidate", []))
    return f"{count} candidates, at most {MAX_CANDIDATES} are accepted" if count > MAX_CANDIDATES else None


def _check_candidate_usable(answer: _Answer) -> str | None:
    candidates = answer.section.get("candidate", [])
    answer.usable, answer.dropped = usable_candidates(candidates, private_host=answer.private_host)
    if answer.usable:
        return None
    if not candidates:
        return "no ICE candidate"
    causes = ", ".join(f"{count} {cause}" for cause, count in answer.dropped.items())
    return f"no usable ICE candidate ({causes})"


_CHECKS: dict[AnswerCheck, Callable[[_Answer], str | None]] = {
    AnswerCheck.SYNTAX: _check_syntax,
    AnswerCheck.ONE_SECTION: _check_one_section,
    AnswerCheck.AUDIO: _check_audio,
    AnswerCheck.ACCEPTED: _check_accepted,
    AnswerCheck.PROFILE: _check_profile,
    AnswerCheck.MID: _check_mid,
    AnswerCheck.DIRECTION: _check_direction,
    AnswerCheck.RTPMAP: _check_rtpmap,
    AnswerCheck.CODEC: _check_codec,
    AnswerCheck.RTCP_MUX: _check_rtcp_mux,
    AnswerCheck.ICE_CREDENTIALS: _check_ice_credentials,
    AnswerCheck.FINGERPRINT: _check_fingerprint,
    AnswerCheck.SETUP: _check_setup,
    AnswerCheck.CANDIDATE_COUNT: _check_candidate_count,
    AnswerCheck.CANDIDATE_USABLE: _check_candidate_usable,
}


def _rewrite(answer: _Answer) -> CheckedAnswer:
    assert answer.chosen is not None
    number, codec = answer.chosen
    fingerprints = [pair for pair in map(_fingerprint, answer.values("fingerprint")) if pair]
    extensions = [m for m in map(_EXTMAP.fullmatch, answer.section.get("extmap", [])) if m]
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        *(["a=ice-lite"] if "ice-lite" in answer.session else []),
        f"m=audio 9 UDP/TLS/RTP/SAVPF {number}",
        "c=IN IP4 0.0.0.0",
        "a=sendrecv",
        f"a=mid:{answer.mid}",
        "a=rtcp-mux",
        f"a=rtpmap:{number} {_RTPMAPS[codec]}",
        *(f"a=extmap:{m[1]} {m[2]}" for m in extensions if m[2] in _HEADER_EXTENSIONS),
        *(f"a=candidate:{candidate.to_sdp()}" for candidate in answer.usable),
        "a=end-of-candidates",  # without it an unreachable peer would never be given up (`facts`)
        f"a=ice-ufrag:{answer.first('ice-ufrag')}",
        f"a=ice-pwd:{answer.first('ice-pwd')}",
        *(f"a=fingerprint:{algorithm} {value}" for algorithm, value in fingerprints),
        f"a=setup:{answer.first('setup')}",
    ]
    sdp = "".join(f"{line}\r\n" for line in lines)
    return CheckedAnswer(sdp, codec, len(answer.usable), dict(answer.dropped))
