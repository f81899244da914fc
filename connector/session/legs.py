"""The two legs as a session sees them; `connector.room` and `connector.millis` fit these protocols unknowingly."""

from collections.abc import Callable
from typing import Protocol

from connector.audio.frames import AudioInputs, MediaPacket, Samples
from connector.base.legs import AgentEvent, AgentState, AudioCodec, RoomEvent
from connector.base.people import ListenRule


class RoomLeg(Protocol):
    """The LiveKit side: one participant in one room."""

    @property
    def humans(self) -> int:
        """Humans in the room now."""

    @property
    def encrypted(self) -> bool:
        """Whether somebody publishes end-to-end encrypted media."""

    async def join(self) -> None:
        """Join and start to listen. Raises `RoomLegError`."""

    async def settled(self) -> None:
        """Return once this participant is sure to be the only one of its identity. Raises `RoomLegError`."""

    async def next_event(self) -> RoomEvent:
        """The next thing that happened in the room."""

    def push(self, samples: Samples) -> None:
        """Publish reply audio, a multiple of 480 samples; never blocks, never raises."""

    def set_agent_state(self, state: AgentState) -> None:
        """Show this state to the room; never blocks."""

    def update_listen(self, listen: ListenRule) -> None:
        """Hear by this rule from now on, also when it is given before `join`; never blocks, never raises."""

    def figures(self) -> object:
        """A dataclass of counters."""

    async def close(self) -> None:
        """Leave. Idempotent, bounded."""


class AgentLeg(Protocol):
    """The Millis side: one billed WebRTC session."""

    async def prepare(self) -> None:
        """Make a complete offer; nothing is sent yet. Raises `AgentLegError`."""

    async def offer(self) -> AudioCodec:
        """Post the offer and accept the answer. Raises `AgentLegError`."""

    async def connect(self) -> None:
        """Return once media can flow. Raises `AgentLegError`."""

    def send(self, payload: bytes, timestamp: int) -> None:
        """Send one encoded tick; never blocks, never raises."""

    async def next_event(self) -> AgentEvent:
        """How the agent leg ended."""

    def figures(self) -> object:
        """A dataclass of counters."""

    async def close(self) -> None:
        """Hang up. Idempotent, bounded, also after a half-way failure."""


class LegFactory(Protocol):
    """Makes the legs of one session; a new one for each try."""

    def room_leg(self, inputs: AudioInputs) -> RoomLeg:
        """A room leg that delivers what it hears to `inputs`."""

    def agent_leg(self, on_packet: Callable[[MediaPacket], None]) -> AgentLeg:
        """An agent leg that delivers received packets to `on_packet`."""
