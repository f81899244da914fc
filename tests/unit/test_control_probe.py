"""Whether a listed connector is alive."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from connector.base.errors import UnavailableError
from connector.control.probe import answers
from connector.control.seen import ParticipantSeen

AGENT = ParticipantSeen("agent", "PA_1", "AGENT", {"connector.beat": "100", "connector.worker": "w1"})
ADA = ParticipantSeen("ada", "PA_2", "STANDARD")


class Room:
    """A room whose agent does what the test says when it is asked.

    Args:
        react: Makes the participants after so many looks since the question, from the question.
    """

    def __init__(self, react: Callable[[int, str], tuple[ParticipantSeen, ...]]) -> None:
        self._react = react
        self.asked = ""
        self.looks = 0

    async def participants(self, room: str) -> tuple[ParticipantSeen, ...]:
        assert room == "lobby"
        if not self.asked:
            return (ADA, AGENT)
        self.looks += 1
        return self._react(self.looks, self.asked)

    async def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> bool:
        assert (room, identity, list(attributes)) == ("lobby", "agent", ["connector.ask"])
        self.asked = attributes["connector.ask"]
        return True


def agent(sid: str = "PA_1", **attributes: str) -> ParticipantSeen:
    """The agent with some more attributes."""
    more = {f"connector.{name}": value for name, value in attributes.items()}
    return ParticipantSeen("agent", sid, "AGENT", {**AGENT.attributes, **more})


async def test_the_answer_is_a_sign_of_life() -> None:
    """The question comes back as the answer, some looks later."""
    room = Room(lambda looks, asked: (ADA, agent(ask=asked, answer=asked) if looks > 2 else agent(ask=asked)))
    assert await answers(room, "lobby", "agent", 5.0)
    assert room.looks == 3
    assert 8 <= len(room.asked) <= 64


@pytest.mark.parametrize("sign", [{"answer": "somebody-elses"}, {"beat": "130"}, {"sid": "PA_9"}])
async def test_any_other_sign_counts_too(sign: dict[str, str]) -> None:
    """An answer to another's question, a new beat, and a new join of the identity all say that somebody lives."""
    room = Room(lambda _looks, asked: (ADA, agent(ask=asked, **sign)))
    assert await answers(room, "lobby", "agent", 5.0)


async def test_no_answer_within_the_time_is_no() -> None:
    """A participant that is listed and only shows the question is dead; the last look comes after the whole time."""
    room = Room(lambda _looks, asked: (ADA, agent(ask=asked)))
    began = asyncio.get_running_loop().time()
    assert not await answers(room, "lobby", "agent", 0.25)
    assert asyncio.get_running_loop().time() - began >= 0.25
    assert room.looks >= 2


async def test_who_is_gone_does_not_answer() -> None:
    """A participant that leaves meanwhile, or was never there, is not waited for."""
    room = Room(lambda _looks, _asked: (ADA,))
    assert not await answers(room, "lobby", "agent", 60.0)
    assert not await answers(room, "lobby", "another", 60.0)


async def test_who_leaves_before_the_question_does_not_answer() -> None:
    """LiveKit knows no such participant any more when it is asked."""

    class Left(Room):
        async def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> bool:
            return False

    assert not await answers(Left(lambda _looks, _asked: ()), "lobby", "agent", 60.0)


async def test_what_livekit_does_not_know_is_not_no() -> None:
    """A LiveKit that cannot be asked raises: unknown is not absent."""

    class Down(Room):
        async def set_attributes(self, room: str, identity: str, attributes: Mapping[str, str]) -> bool:
            raise UnavailableError("no answer")

    with pytest.raises(UnavailableError):
        await answers(Down(lambda _looks, _asked: ()), "lobby", "agent")
