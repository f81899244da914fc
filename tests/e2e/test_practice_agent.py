"""The practice agent against the real agent leg, without a room: real WebRTC on both sides."""

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from connector.audio.frames import RATE_HZ
from connector.base.errors import AgentLegError, UnavailableError, UsageError
from connector.base.legs import AgentHungUp, AgentLost, AudioCodec
from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import REPLY_SEMITONES, Habits
from connector.practice.agent_faults import USELESS, Fault
from connector.practice.matching import find, level_change_db, sound_spans
from connector.practice.recorder import Recording
from connector.practice.sound import level_dbfs, load_clip, shift_pitch, tone
from tests.leg_call import TEST_KEY, LegCall
from tests.until import until

pytestmark = pytest.mark.e2e
QUIET = Habits(greeting="none", reply="none")


def agent(*faults: Fault, habits: Habits = QUIET, **options: object) -> PracticeAgent:
    return PracticeAgent(PracticeOptions(key=TEST_KEY, habits=habits, faults=faults, **options))  # type: ignore[arg-type]


def sessions_saved_in(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("session-*/said.wav")}


def whole(recording: Recording | None) -> Recording:
    assert recording is not None
    return recording


async def test_it_greets_listens_and_repeats_in_another_pitch() -> None:
    """The greeting arrives as it is said; a sentence is heard whole, and comes back lower and as loud as it was."""
    clip = load_clip("ada-asks")
    async with agent(habits=Habits()) as practice, LegCall(practice.url) as call:
        (session,) = practice.sessions
        greeting = load_clip("agent-greets")
        await until(lambda: call.heard.seconds > len(greeting) / RATE_HZ + 0.5)
        greeted = find(greeting, whole(session.said).start, call.heard)
        assert greeted.share > 0.9
        at = call.say(clip)
        await until(lambda: "reply" in [event.what for event in session.events])
        await until(lambda: session.events[-1].what == "silent")
        heard = find(clip, at, whole(session.heard))
        assert heard.share > 0.9
        assert abs(level_change_db(clip, at, whole(session.heard), heard.lag_s)) < 1.0
        replied = next(event.at for event in session.events if event.what == "reply")
        lower = shift_pitch(clip, REPLY_SEMITONES)
        said = find(lower, replied, whole(session.said), latest_s=0.5)
        assert said.share > 0.9
        assert find(lower, replied + said.lag_s, call.heard).share > 0.9
        assert find(clip, replied, call.heard, latest_s=3.0).share < 0.2


async def test_it_stops_at_once_when_talked_over() -> None:
    """Somebody speaks into its greeting: it falls silent within a fraction of a second and notes the interruption."""
    async with agent(habits=Habits()) as practice, LegCall(practice.url) as call:
        (session,) = practice.sessions
        await until(lambda: level_dbfs(call.last(0.1)) > -40)
        call.say(load_clip("grace-interrupts"))
        await until(lambda: "interrupted" in [event.what for event in session.events])
        (_, stopped), *_ = sound_spans(whole(session.said), join_s=0.2, least_s=0.05)
        interrupted = next(event.at for event in session.events if event.what == "interrupted")
        assert stopped == pytest.approx(interrupted, abs=0.15)
        assert stopped - whole(session.said).start < len(load_clip("agent-greets")) / RATE_HZ - 0.3


@pytest.mark.parametrize("codec", list(AudioCodec))
async def test_every_codec_keeps_the_level(codec: AudioCodec) -> None:
    """With Opus, PCMU and PCMA a tone arrives in both directions as loud as it was sent."""
    async with agent(habits=replace(QUIET, codec=codec)) as practice, LegCall(practice.url) as call:
        assert call.codec is codec
        (session,) = practice.sessions
        call.say(tone(800, 10, -12))
        await until(lambda: "hearing" in [event.what for event in session.events])
        session.say(tone(600, 10, -12))  # it is spoken to already, so this is no interruption
        before = call.heard.seconds
        await until(lambda: call.heard.seconds > before + 2)
        assert level_dbfs(call.last(1.0)) == pytest.approx(-15.0, abs=0.5)
        assert level_dbfs(whole(session.heard).samples[-RATE_HZ:]) == pytest.approx(-15.0, abs=0.5)


async def test_our_packets_carry_fec_and_so_do_its_own() -> None:
    """Opus speech has in-band FEC in both directions."""
    async with agent(habits=Habits()) as practice, LegCall(practice.url) as call:
        (session,) = practice.sessions
        call.say(load_clip("ada-asks"))
        await until(lambda: session.packets_with_fec > 20 and call.with_fec > 20)
        assert session.packets_with_fec <= session.packets


@pytest.mark.parametrize(("pauses", "few"), [(True, True), (False, False)])
async def test_it_pauses_only_when_asked_to(pauses: bool, few: bool) -> None:
    """With nothing to say the stream goes on, or stops when it is to pause."""
    async with agent(habits=replace(QUIET, pauses=pauses)) as practice, LegCall(practice.url) as call:
        (session,) = practice.sessions
        await until(lambda: session.packets > 100)
        assert (call.packets < 20) is few


async def test_sessions_are_counted_and_shown(tmp_path: Path) -> None:
    """Two calls, one after the other and then two at once, are on record; a call can be hung up from outside."""
    async with agent(record=tmp_path) as practice:
        async with LegCall(practice.url):
            await practice.until(lambda a: len(a.live) == 1)
        await practice.until(lambda a: not a.live)
        assert practice.most_at_once == 1
        async with LegCall(practice.url), LegCall(practice.url) as last, aiohttp.ClientSession() as client:
            await practice.until(lambda a: len(a.live) == 2)
            assert practice.most_at_once == 2
            headers = {"Authorization": TEST_KEY.reveal()}
            async with client.get(f"{practice.url}/sessions", headers=headers) as answer:
                shown = await answer.json()
            assert [s["live"] for s in shown["sessions"]] == [False, True, True]
            assert shown["sessions"][0]["closed_by"] == "connector"
            wanted = shown["sessions"][2]["id"]
            async with client.delete(f"{practice.url}/sessions/{wanted}", headers=headers) as answer:
                assert answer.status == 204
            async with client.delete(f"{practice.url}/sessions/{wanted}", headers=headers) as answer:
                assert answer.status == 404
            async with client.get(f"{practice.url}/sessions") as answer:
                assert answer.status == 422
            assert await last.event() == AgentHungUp()
    assert sessions_saved_in(tmp_path) == {f"session-{session.id}" for session in practice.sessions}


async def test_the_key_is_checked_in_the_form_that_was_chosen() -> None:
    """A bare key, a Bearer key, or either; a wrong key is refused."""
    for auth, key, good in (
        ("raw", TEST_KEY, True),
        ("bearer", TEST_KEY, True),
        ("any", TEST_KEY, True),
        ("any", Secret("wrong-key-0815"), False),
    ):
        async with agent(auth=auth) as practice:
            if good:
                async with LegCall(practice.url, key=key):
                    await practice.until(lambda a: len(a.live) == 1)
            else:
                with pytest.raises(AgentLegError, match="MILLIS_PRIVATE_KEY"):
                    await LegCall(practice.url, key=key).__aenter__()
                assert not practice.sessions


async def test_a_request_that_is_not_the_documented_one_is_refused() -> None:
    """Without key, without JSON, without offer, or with an offer that is none: an error as FastAPI words it."""
    bodies = ["no json", "[]", "{}", '{"agent_id": "", "offer": {"sdp": "", "type": "offer"}}']
    async with agent() as practice, aiohttp.ClientSession(headers={"Authorization": TEST_KEY.reveal()}) as client:
        for body in bodies:
            async with client.post(f"{practice.url}/webrtc/offer", data=body) as answer:
                assert answer.status == 422
                assert "detail" in await answer.json()
        sdp = {"agent_id": "a", "offer": {"sdp": "hello", "type": "offer"}}
        async with client.post(f"{practice.url}/webrtc/offer", json=sdp) as answer:
            assert answer.status == 400
        assert not practice.sessions


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault("status", code) for code in ("400", "401", "404", "429:1", "500")),
        *(Fault(name) for name in ("reset", "redirect", "huge")),
        *(Fault("useless", kind) for kind in USELESS),
    ],
    ids=lambda fault: f"{fault.name}={fault.value}",
)
async def test_http_faults_are_what_they_say(fault: Fault) -> None:
    """Each of them fails the offer with one line, and the agent has no live session afterwards."""
    async with agent(fault) as practice:
        with pytest.raises(AgentLegError) as caught:
            await LegCall(practice.url).__aenter__()
        assert "\n" not in str(caught.value)
        assert not practice.live


async def test_a_fault_for_one_offer_meets_only_the_first() -> None:
    """After its count is used up the agent answers well."""
    async with agent(Fault("status", "500", 1)) as practice:
        with pytest.raises(AgentLegError):
            await LegCall(practice.url).__aenter__()
        async with LegCall(practice.url):
            assert practice.offers == 2


async def test_hang_up_after_a_while() -> None:
    """The agent ends the call in good order after its time."""
    async with agent(Fault("hang-up", "0.5")) as practice, LegCall(practice.url) as call:
        assert await call.event() == AgentHungUp()
        await practice.until(lambda a: a.sessions[0].closed_by == "agent")


async def test_a_frozen_agent_sends_nothing_any_more() -> None:
    """After it froze no datagram comes, and the leg is lost for that reason."""
    async with agent(Fault("freeze", "0.3")) as practice, LegCall(practice.url) as call:
        event = await call.event(25)
        assert isinstance(event, AgentLost)
        assert event.cause == "no_datagrams"


async def test_a_mute_agent_hears_but_sends_no_audio() -> None:
    """The connection stands, our audio arrives, and no packet comes back."""
    async with agent(Fault("mute"), habits=Habits()) as practice, LegCall(practice.url) as call:
        (session,) = practice.sessions
        await until(lambda: session.packets > 60)
        assert call.packets == 0


async def test_loss_lateness_and_padding_reach_the_wire() -> None:
    """The wire's faults are really there, and the receive path copes with them."""
    faults = (Fault("loss", "5"), Fault("late", "1"), Fault("padding"))
    async with agent(*faults) as practice, LegCall(practice.url) as call:
        (session,) = practice.sessions
        session.say(np.tile(load_clip("ada-asks"), 3))
        await until(lambda: call.packets > 300)
        assert session.wire is not None
        assert session.wire.lost > 3
        assert session.wire.padded > 5
        assert call.leg.figures().empty_payloads == pytest.approx(session.wire.padded, abs=1)
        at = whole(session.said).start
        await until(lambda: call.heard.seconds > 5)
        assert find(load_clip("ada-asks"), at, call.heard).share > 0.8


async def test_an_unreachable_agent_never_connects() -> None:
    """The answer is good, but no datagram is answered."""
    async with agent(Fault("unreachable")) as practice:
        call = LegCall(practice.url)
        with pytest.raises(AgentLegError, match="No connection to the agent"):
            await call.__aenter__()
        assert not practice.live


async def test_an_address_that_is_taken_is_one_line() -> None:
    """Two agents on one port: the second is unavailable; nonsense is a usage error."""
    async with agent() as practice:
        with pytest.raises(UnavailableError, match="cannot listen"):
            async with agent(listen=practice.url.removeprefix("http://")):
                pass
    with pytest.raises(UsageError, match="host:port"):
        PracticeAgent(PracticeOptions(listen="nonsense"))


async def test_as_a_process_it_saves_and_ends_by_a_signal(tmp_path: Path) -> None:
    """Run by itself it says where it listens, ends at SIGTERM with 0, and leaves its recordings."""
    code = (
        "import asyncio, sys; from pathlib import Path; from connector.practice.agent import *; "
        "sys.exit(asyncio.run(run_practice_agent(PracticeOptions(record=Path(sys.argv[1])))))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    url = line.split()[-1]
    async with LegCall(url) as call:
        await until(lambda: call.heard.seconds > 0.5)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    process.stdout.feed_eof()
    assert (tmp_path / "session-1" / "said.wav").stat().st_size > 40_000
