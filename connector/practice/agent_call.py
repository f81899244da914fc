"""One session of the practice agent: a real WebRTC answerer that greets, listens, and repeats what it heard.

Audio in passes the product's receive path, audio out its send path. What is heard and said is recorded on the common
clock, so that a test or the demo can judge the whole chain by ear, not by counters.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import structlog
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtcdtlstransport import RTCDtlsTransport

from connector.audio.frames import TICK_SECONDS, MediaPacket, Samples
from connector.audio.opus import has_fec
from connector.audio.receive import ReceivePath
from connector.audio.send import SendPath
from connector.base.legs import AudioCodec
from connector.base.redact import redact
from connector.millis.seams import hung_up, tap_packets
from connector.millis.track import PacketTrack
from connector.practice.agent_faults import Fault, FaultyWire, silence_sockets
from connector.practice.listener import Listener, SpeechBegan
from connector.practice.mouth import Mouth
from connector.practice.recorder import Recorder, Recording
from connector.practice.sound import level_dbfs, load_clip, shift_pitch, tone

Greeting = Literal["none", "tone", "hum", "speech"]
"""`hum` is a tone without an end: whatever is missing of it is a gap."""
Reply = Literal["none", "tone", "echo"]

CONNECT_WITHIN_S = 20.0
"""An answer whose offerer never connects is given up after this; longer than the connector's own 15 s."""
REPLY_SEMITONES = -4.0
_TONE_HZ = 660.0
_TONE_S = 1.0
_EVENTS = 300
_BEHIND_S = 0.2
_CLOSE_S = 5.0
_UNANSWERABLE = (ValueError, AttributeError, AssertionError, OperationError, InvalidAccessError, InvalidStateError)
"""What aiortc raises at a description that it cannot use."""
_numbers = count(1)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Habits:
    """How the agent behaves in a call.

    Attributes:
        codec: The codec of its answer.
        greeting: What it says when the call connects.
        reply: What it says after somebody spoke.
        pauses: Whether it stops sending packets while it has nothing to say (else it sends silence).
        end_of_speech_s: Quiet after which it answers.
        keep_s: Seconds of audio recorded each way; 0 records nothing.
        loopback_only: Whether it offers 127.0.0.1 alone as its address; the agent sets it by where it listens.
    """

    codec: AudioCodec = AudioCodec.OPUS
    greeting: Greeting = "speech"
    reply: Reply = "echo"
    pauses: bool = False
    end_of_speech_s: float = 0.6
    keep_s: float = 120.0
    loopback_only: bool = True


@dataclass(frozen=True)
class CallEvent:
    """Something that happened in a call, at a monotonic time.

    Attributes:
        at: When.
        what: ``opened``, ``connected``, ``greeting``, ``hearing``, ``heard``, ``reply``, ``interrupted``, ``silent``
            (it finished what it was saying), ``closed``.
        detail: A word more, perhaps.
    """

    at: float
    what: str
    detail: str = ""


class PracticeCall:
    """One call, from its offer to its end.

    Args:
        agent_id: The agent that was asked for.
        habits: How to behave.
        faults: What to do wrong, by name.
        ended: Called once, when the call is over and everything of it is closed.

    Attributes:
        id: Number of the call in this process, from 1.
        closed_by: ``connector``, ``agent``, ``lost``, ``never_connected`` or ``stopped``; empty while it lives.
        packets: RTP packets received.
        packets_with_fec: Those of them that carry in-band FEC (Opus only).
        wire: The faulty wire, when faults asked for one.
    """

    def __init__(
        self,
        agent_id: str,
        habits: Habits,
        faults: Mapping[str, Fault],
        ended: Callable[["PracticeCall"], None],
    ) -> None:
        self.id = str(next(_numbers))
        self.agent_id = agent_id
        self.events: deque[CallEvent] = deque(maxlen=_EVENTS)
        self.closed_by = ""
        self.packets = self.packets_with_fec = 0
        self.wire: FaultyWire | None = None
        self.opened_at = time.monotonic()
        self.connected_at: float | None = None
        self.closed_at: float | None = None
        self.heard_level_dbfs = self.said_level_dbfs = -120.0
        self._habits, self._faults, self._ended = habits, faults, ended
        self._mouth = Mouth()
        self._listener = Listener(end_after_s=habits.end_of_speech_s)
        self._heard, self._said = Recorder(habits.keep_s), Recorder(habits.keep_s)
        self._receive = ReceivePath(habits.codec, start=self.opened_at)
        self._send = SendPath(habits.codec)
        self._track = PacketTrack()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_speaking = False
        self._note("opened")

    @property
    def live(self) -> bool:
        """Whether the call is connected and not over."""
        return self.connected_at is not None and self.closed_at is None

    @property
    def heard(self) -> Recording | None:
        """What was received so far."""
        return self._heard.recording()

    @property
    def said(self) -> Recording | None:
        """What was sent so far."""
        return self._said.recording()

    async def answer(self, sdp: str) -> str:
        """Answer an offer, and serve the call from then on.

        Args:
            sdp: The offer.

        Returns:
            The fully gathered answer.

        Raises:
            ValueError: The offer cannot be answered.
        """
        try:
            transceiver = self._peer.addTransceiver(self._track, direction="sendrecv")
            mime = f"audio/{self._habits.codec.value}"
            transceiver.setCodecPreferences(
                [c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType.lower() == mime.lower()]
            )
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            tap_packets(transceiver.receiver, self._packet)
            if self._habits.loopback_only:
                _only_loopback(self._dtls)
            self._peer.on("connectionstatechange", self._changed.set)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
            if "unreachable" in self._faults:
                silence_sockets(self._dtls)
            self._task = asyncio.create_task(self._live(), name=f"practice-call-{self.id}")
        except _UNANSWERABLE as error:
            raise ValueError(redact(error)) from error
        finally:
            if self._task is None:
                await self._peer.close()
        return self._peer.localDescription.sdp

    def say(self, samples: Samples) -> None:
        """Say something now, in place of what is being said."""
        self._mouth.say(samples)

    async def hang_up(self, cause: str = "agent") -> None:
        """End the call in good order; safe to call again."""
        self.closed_by = self.closed_by or cause
        self._changed.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    def figures(self) -> dict[str, Any]:
        """The call as JSON shows it."""
        return {
            "id": self.id,
            "agent_id": self.agent_id,
            "codec": self._habits.codec.value,
            "opened_at": self.opened_at,
            "connected_at": self.connected_at,
            "closed_at": self.closed_at,
            "closed_by": self.closed_by,
            "live": self.live,
            "hearing": self._listener.speaking,
            "saying": self._mouth.speaking,
            "heard_level_dbfs": round(self.heard_level_dbfs, 1),
            "said_level_dbfs": round(self.said_level_dbfs, 1),
            "packets": self.packets,
            "packets_with_fec": self.packets_with_fec,
            "events": [{"at": event.at, "what": event.what, "detail": event.detail} for event in self.events],
        }

    def forget_audio(self) -> None:
        """Give the memory of the recordings back, once they are saved."""
        self._heard, self._said = Recorder(0), Recorder(0)

    def save(self, folder: Path) -> None:
        """Write ``heard.wav`` and ``said.wav``, as far as there is something in them."""
        for name, recording in (("heard.wav", self.heard), ("said.wav", self.said)):
            if recording is not None:
                recording.save(folder / name)

    @property
    def _dtls(self) -> RTCDtlsTransport:
        return self._peer.getTransceivers()[0].receiver.transport

    def _note(self, what: str, detail: str = "") -> None:
        self.events.append(CallEvent(time.monotonic(), what, detail))

    async def _live(self) -> None:
        """The life of the call, in its own task."""
        try:
            await self._connect()
            if self.connected_at is not None:
                await self._talk()
        except Exception as error:  # noqa: BLE001 -- the end of a task: the call ends, the agent goes on
            self.closed_by = self.closed_by or "lost"
            _log.exception("practice_call_failed", call=self.id, error=redact(error))
        finally:
            await self._close()

    async def _connect(self) -> None:
        deadline = self.opened_at + CONNECT_WITHIN_S
        while not self.closed_by and self._peer.connectionState not in {"connected", "closed", "failed"}:
            self._changed.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                break
        if self._peer.connectionState != "connected" or self.closed_by:
            self.closed_by = self.closed_by or "never_connected"
            return
        self.connected_at = time.monotonic()
        self._note("connected")
        self._break_things()
        self._track.open()
        greeting = self._habits.greeting
        if greeting != "none":
            piece = load_clip("agent-greets") if greeting == "speech" else tone(_TONE_HZ, _TONE_S, -12)
            self._mouth.say(piece, repeat=greeting == "hum")
            self._note("greeting")

    def _break_things(self) -> None:
        share = {name: self._faults[name].number / 100 for name in ("loss", "late") if name in self._faults}
        if share or "padding" in self._faults:
            self.wire = FaultyWire(self._dtls, **share, padding="padding" in self._faults, seed=int(self.id))

    async def _talk(self) -> None:
        """The 20 ms clock of the call, until somebody ends it."""
        assert self.connected_at is not None
        next_at = self.connected_at
        while not self.closed_by:
            next_at += TICK_SECONDS
            now = time.monotonic()
            if now - next_at > _BEHIND_S:
                next_at = now
            await asyncio.sleep(max(0.0, next_at - now))
            self._tick(time.monotonic())
            self._notice_the_end()

    def _tick(self, now: float) -> None:
        for samples in self._receive.tick(now):
            self._hear(samples, now)
        frame = self._mouth.tick()
        self.said_level_dbfs = level_dbfs(frame)
        self._said.write(frame, now)
        if self._was_speaking and not self._mouth.speaking:
            self._note("silent")
        self._was_speaking = self._mouth.speaking
        packet = self._send.encode(frame)
        resting = self._habits.pauses and packet.silent and not self._mouth.speaking
        if not resting and "mute" not in self._faults:
            self._track.push(packet.payload, packet.timestamp)

    def _packet(self, packet: MediaPacket) -> None:
        now = time.monotonic()
        self.packets += 1
        if self._habits.codec is AudioCodec.OPUS:
            self.packets_with_fec += has_fec(packet.payload)
        for samples in self._receive.add(packet, now):
            self._hear(samples, now)

    def _hear(self, samples: Samples, now: float) -> None:
        self._heard.write(samples, now)
        self.heard_level_dbfs = level_dbfs(samples)
        for event in self._listener.add(samples, now):
            if isinstance(event, SpeechBegan):
                self._note("hearing")
                if self._mouth.speaking:
                    self._mouth.stop()
                    self._note("interrupted")
            else:
                self._note("heard", f"{len(event.samples) / 48_000:.2f} s")
                self._reply(event.samples)

    def _reply(self, heard: Samples) -> None:
        if self._habits.reply == "echo":
            self._mouth.say(shift_pitch(heard, REPLY_SEMITONES))
        elif self._habits.reply == "tone":
            self._mouth.say(tone(_TONE_HZ, _TONE_S, -12))
        else:
            return
        self._note("reply")

    def _notice_the_end(self) -> None:
        assert self.connected_at is not None
        age = time.monotonic() - self.connected_at
        if self._peer.connectionState in {"closed", "failed"}:
            self.closed_by = "connector" if hung_up(self._dtls) else "lost"
        elif "hang-up" in self._faults and age >= self._faults["hang-up"].number:
            self.closed_by = "agent"
        elif "freeze" in self._faults and age >= self._faults["freeze"].number:
            silence_sockets(self._dtls)

    async def _close(self) -> None:
        if self.wire is not None:
            self.wire.close()
        self._track.stop()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._peer.close()
        except TimeoutError:
            _log.warning("practice_close_hangs", call=self.id, after_s=_CLOSE_S)
        self.closed_at = time.monotonic()
        self._note("closed", self.closed_by)
        self._ended(self)


def _only_loopback(dtls: RTCDtlsTransport) -> None:
    """Offer 127.0.0.1 and nothing else, however many interfaces the machine has; before gathering."""
    connection: Any = dtls.transport._connection  # noqa: SLF001 -- aioice leaves loopback out, and offers no choice
    stock = connection.get_component_candidates

    async def get_component_candidates(component: int, addresses: list[str]) -> Any:  # noqa: ARG001 -- its signature
        return await stock(component=component, addresses=["127.0.0.1"])

    connection.get_component_candidates = get_component_candidates
