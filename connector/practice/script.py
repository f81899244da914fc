"""What the two people of the demo say, when, and what is waited for in between."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connector.practice.show import Show
from connector.practice.sound import load_clip
from connector.practice.verify import Spoken

WORDS = {
    "ada-asks": "Hello, this is Ada. Please repeat what I say.",
    "grace-asks": "And this is Grace. Can you hear me too?",
    "ada-together": "Now we both speak at the same time.",
    "grace-together": "Nobody should get lost in the mix.",
    "grace-interrupts": "Sorry, let me stop you there.",
    "agent-greets": "Hello! I am the practice agent.",
}
"""The text of each committed clip."""
LONGEST_S = 50.0
"""The whole play; it takes about 25 s when the agent answers."""
_ARRIVES_WITHIN_S = 25.0
_ANSWERS_WITHIN_S = 5.0
_FINISHES_WITHIN_S = 8.0
_INTO_THE_REPLY_S = 0.7
_BREATH_S = 0.4
_TAIL_S = 0.8
_LOOK_S = 0.03


class Talker(Protocol):
    """Somebody with a microphone."""

    def say(self, samples: Any) -> float:
        """Begin to say something; returns the monotonic time of its first sample."""


class AgentView(Protocol):
    """What can be known of the agent from outside: when something last happened to it."""

    def when(self, what: str, after: float) -> float | None:
        """The monotonic time of the first such event after another time, or None."""


@dataclass
class Script:
    """Plays the demo and keeps what was said.

    Attributes:
        talkers: The people's microphones, by name.
        agent: The agent as seen from outside.
        show: Where it is told.
        spoken: Everything said so far.
        clock: Monotonic seconds.
        sleep: Waits so many of them.
    """

    talkers: Mapping[str, Talker]
    agent: AgentView
    show: Show
    spoken: list[Spoken]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def play(self) -> bool:
        """Play it all; an agent that does not answer is not waited for beyond a bound.

        Returns:
            Whether the agent came at all.
        """
        self.show.waiting("waiting for the worker to bring the agent into the room")
        came = await self._happens("connected", 0.0, _ARRIVES_WITHIN_S)
        if came is None:
            return False
        self.show.waiting("")
        await self._happens("silent", came, _FINISHES_WITHIN_S)
        await self.sleep(_BREATH_S)
        await self._ask("ada", "ada-asks")
        await self._ask("grace", "grace-asks")
        await self._together()
        return True

    async def _ask(self, who: str, clip: str) -> None:
        """One person speaks; the agent's whole answer is awaited."""
        said = self._say(who, clip)
        await self._until(said.end)
        await self._answered(said)

    async def _together(self) -> None:
        """Both speak at once; into the answer grace speaks again, and gets an answer of her own."""
        first, second = self._say("ada", "ada-together"), self._say("grace", "grace-together")
        last = max(first, second, key=lambda spoken: spoken.end)
        await self._until(last.end)
        began = await self._reply_to(last, "both")
        await self._until((began or self.clock()) + _INTO_THE_REPLY_S)
        interruption = self._say("grace", "grace-interrupts", interrupts=True)
        if await self._happens("interrupted", interruption.at, _ANSWERS_WITHIN_S) is None:
            self.show.happened(self.clock(), "agent", "does not stop")
        await self._until(interruption.end)
        await self._answered(interruption)
        await self.sleep(_TAIL_S)

    def _say(self, who: str, clip: str, *, interrupts: bool = False) -> Spoken:
        samples = load_clip(clip)
        spoken = Spoken(who, clip, samples, self.talkers[who].say(samples), interrupts)
        self.spoken.append(spoken)
        self.show.speaks(spoken, WORDS[clip])
        return spoken

    async def _answered(self, spoken: Spoken) -> None:
        began = await self._reply_to(spoken, spoken.who)
        if began is not None:
            await self._happens("silent", began, _FINISHES_WITHIN_S)
        await self.sleep(_BREATH_S)

    async def _reply_to(self, spoken: Spoken, who: str) -> float | None:
        """Wait for the answer's beginning, and tell how long it took."""
        began = await self._happens("reply", spoken.end, _ANSWERS_WITHIN_S)
        if began is None:
            self.show.happened(self.clock(), "agent", f"does not answer {who}")
        else:
            self.show.happened(began, "agent", f"answers {began - spoken.end:.2f} s after {who} stopped")
        return began

    async def _happens(self, what: str, after: float, within_s: float) -> float | None:
        """Look again and again until it has happened; None when the time is up."""
        give_up = self.clock() + within_s
        while (found := self.agent.when(what, after)) is None and self.clock() < give_up:
            await self.sleep(_LOOK_S)
        return found

    async def _until(self, at: float) -> None:
        await self.sleep(max(0.0, at - self.clock()))
