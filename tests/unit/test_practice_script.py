import asyncio
import io

from rich.console import Console

from connector.audio.frames import Samples
from connector.practice.script import WORDS, Script
from connector.practice.show import Show
from connector.practice.sound import CLIPS
from connector.practice.verify import Spoken


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Talk:
    """A microphone."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def say(self, samples: Samples) -> float:
        assert len(samples)
        return self.clock()


class Agent:
    """An agent that answers every utterance after a while, or never."""

    def __init__(self, spoken: list[Spoken], clock: Clock, *, comes: bool = True, answers: bool = True) -> None:
        self.spoken, self.clock, self.comes, self.answers = spoken, clock, comes, answers

    def when(self, what: str, after: float) -> float | None:
        if what == "connected":
            return self.clock() if self.comes else None
        events = [("silent", 0.5)] if not self.spoken else []
        if self.answers:
            for s in self.spoken:
                events += [("reply", s.end + 0.7), ("silent", s.end + 2.0)]
                events += [("interrupted", s.at + 0.1)] if s.interrupts else []
        times = [at for name, at in events if name == what and after < at <= self.clock()]
        return min(times, default=None) if what != "silent" or self.spoken else after + 0.1


def make(*, comes: bool = True, answers: bool = True) -> tuple[Script, Show]:
    spoken: list[Spoken] = []
    show = Show(Console(file=io.StringIO()))
    clock = Clock()
    talkers = {"ada": Talk(clock), "grace": Talk(clock)}
    agent = Agent(spoken, clock, comes=comes, answers=answers)
    return Script(talkers, agent, show, spoken, clock, clock.sleep), show


def test_every_clip_has_its_words() -> None:
    """What is shown belongs to what is heard."""
    assert set(WORDS) == {path.stem for path in CLIPS.glob("*.wav")}


async def test_the_play_has_turns_a_duet_and_an_interruption() -> None:
    """One after the other, then both at once, then one over the agent's answer."""
    play, show = make()
    assert await play.play()
    assert [(s.who, s.clip, s.interrupts) for s in play.spoken] == [
        ("ada", "ada-asks", False),
        ("grace", "grace-asks", False),
        ("ada", "ada-together", False),
        ("grace", "grace-together", False),
        ("grace", "grace-interrupts", True),
    ]
    ada, grace, first, second, over = play.spoken
    assert ada.end < grace.at
    assert grace.end < first.at
    assert second.at < first.end
    assert over.at > max(first.end, second.end) + 0.7
    assert sum("answers" in h.text for h in show.happenings) == 4


async def test_an_agent_that_never_answers_does_not_stop_the_play() -> None:
    """Every wait is bounded: the play goes on, and says what is missing."""
    play, show = make(answers=False)
    assert await play.play()
    assert len(play.spoken) == 5
    texts = [h.text for h in show.happenings]
    assert "does not answer ada" in texts
    assert "does not stop" in texts


async def test_an_agent_that_never_comes_ends_it() -> None:
    """Without an agent nobody speaks."""
    play, _ = make(comes=False)
    assert not await play.play()
    assert play.spoken == []
