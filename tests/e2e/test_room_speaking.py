"""What a real room hears, sees and reads of us."""

import asyncio

import numpy as np
import pytest
from livekit import api

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, Samples
from connector.base.legs import AgentState
from connector.practice.sound import tone
from connector.practice.speakers import Speaker
from connector.room.leg import LiveKitRoomLeg
from tests.e2e.room_scene import ABSENT_DBFS, LOUD_DBFS, TONE_DBFS, Ears, Scene, eventually, tone_dbfs

pytestmark = pytest.mark.e2e

AGENT = "millis-agent"
HZ = 700.0


class Talker:
    """Pushes a tone into a leg, tick by tick, as the session's clock would."""

    def __init__(self, leg: LiveKitRoomLeg) -> None:
        self._task = asyncio.create_task(self._talk(leg), name="talker")

    async def _talk(self, leg: LiveKitRoomLeg) -> None:
        sound = tone(HZ, 1.0, TONE_DBFS).reshape(-1, TICK_SAMPLES)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for tick in range(50 * 60):
            leg.push(sound[tick % len(sound)])
            await asyncio.sleep(max(0.0, start + (tick + 1) * 0.02 - loop.time()))

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


def heard(speaker: Speaker, seconds: float = 0.25) -> Samples:
    """The newest audio that a speaker has of the agent."""
    ear = speaker.heard_from(AGENT)
    recording = ear.recorder.recording() if ear is not None else None
    return np.zeros(0, np.int16) if recording is None else recording.samples[-round(seconds * RATE_HZ) :]


async def hears_agent(speaker: Speaker) -> None:
    """Wait until the speaker hears the agent's tone."""
    await eventually(lambda: tone_dbfs(heard(speaker), HZ) > LOUD_DBFS)


async def hears_nothing(speaker: Speaker) -> None:
    """Wait until the speaker hears no tone of the agent."""
    await eventually(lambda: tone_dbfs(heard(speaker), HZ) < ABSENT_DBFS)


@pytest.mark.parametrize("public_audio", [False, True])
async def test_the_reply_is_heard_at_its_level(scene: Scene, *, public_audio: bool) -> None:
    """Everybody hears what is pushed, within 0.5 dB, by the direct way and by the SDK's public one."""
    ann = await scene.speaker("ann", hear=True)
    bob = await scene.speaker("bob", hear=True)
    leg = await scene.leg(Ears(), public_audio=public_audio)
    async with Talker(leg):
        await hears_agent(ann)
        await hears_agent(bob)
        ear = ann.heard_from(AGENT)
        assert ear is not None
        await eventually(lambda: abs(tone_dbfs(heard(ann, 0.5), HZ) - TONE_DBFS) < 0.5)
        await eventually(lambda: abs(tone_dbfs(heard(bob, 0.5), HZ) - TONE_DBFS) < 0.5)
    figures = leg.figures()
    assert figures.pushed_frames > 0
    assert figures.push_failures == 0
    assert figures.publishes == 1


async def test_a_push_of_any_length_is_safe(scene: Scene) -> None:
    """Whole 10 ms frames of a push are published, a remainder is counted, nothing raises, not even after the end."""
    leg = scene.new_leg(Ears())
    leg.push(tone(HZ, 0.02))
    await leg.join()
    for samples in (0, 1, 480, 500, 2880):
        leg.push(np.zeros(samples, np.int16))
    figures = leg.figures()
    assert (figures.pushed_frames, figures.odd_pushes) == (8, 2)
    await leg.close()
    leg.push(tone(HZ, 0.02))
    assert leg.figures().pushed_frames == 8


async def test_an_administrators_mute_is_honoured(scene: Scene) -> None:
    """While an administrator has muted our track nothing is published, and it is counted."""
    ann = await scene.speaker("ann", hear=True)
    leg = await scene.leg(Ears())
    async with Talker(leg):
        await hears_agent(ann)
        sid = (await scene.listed())[AGENT].tracks[0].sid
        await scene.api.room.mute_published_track(
            api.MuteRoomTrackRequest(room=scene.room, identity=AGENT, track_sid=sid, muted=True)
        )
        await eventually(lambda: leg.figures().withheld_frames > 10)
        pushed = leg.figures().pushed_frames
        await hears_nothing(ann)
        assert leg.figures().pushed_frames == pushed


async def test_the_right_to_speak_is_taken_and_given_back(scene: Scene) -> None:
    """Without the right to publish our track goes; with it the agent is heard again, on one track."""
    ann = await scene.speaker("ann", hear=True)
    leg = await scene.leg(Ears())
    async with Talker(leg):
        await hears_agent(ann)
        await scene.permit(AGENT, publish=False)
        await eventually(lambda: leg.figures().withheld_frames > 0)
        assert not (await scene.listed())[AGENT].tracks
        first = ann.heard_from(AGENT)
        await scene.permit(AGENT)
        await eventually(lambda: ann.heard_from(AGENT) is not first)
        await hears_agent(ann)
    assert len((await scene.listed())[AGENT].tracks) == 1
    assert leg.figures().publishes == 2


async def test_our_attributes_are_read_by_others(scene: Scene) -> None:
    """Others read the agent's state, the worker and the beat, from the first moment and after each change."""
    ann = await scene.speaker("ann")
    leg = await scene.leg(Ears())
    await eventually(lambda: AGENT in ann.room.remote_participants)

    def attributes() -> dict[str, str]:
        return ann.room.remote_participants[AGENT].attributes

    assert attributes()["lk.agent.state"] == "initializing"
    assert attributes()["connector.worker"] == "worker-1"
    assert int(attributes()["connector.beat"]) > 1_700_000_000
    for state in (AgentState.LISTENING, AgentState.SPEAKING, AgentState.LISTENING):
        leg.set_agent_state(state)
    await eventually(lambda: attributes()["lk.agent.state"] == "listening")
    leg.set_agent_state(AgentState.SPEAKING)
    await eventually(lambda: attributes()["lk.agent.state"] == "speaking")
    assert leg.figures().attribute_failures == 0
    listed = (await scene.listed())[AGENT]
    assert api.ParticipantInfo.Kind.Name(listed.kind) == "AGENT"
    assert listed.name == "Agent"


async def test_attributes_that_are_not_taken_are_counted(scene: Scene) -> None:
    """When the right to change our attributes is gone, the read-back notices, counts, and nothing ends."""
    leg = await scene.leg(Ears())
    rights = api.ParticipantPermission(can_subscribe=True, can_publish=True, can_update_metadata=False)
    await scene.api.room.update_participant(
        api.UpdateParticipantRequest(room=scene.room, identity=AGENT, permission=rights)
    )
    leg.set_agent_state(AgentState.LISTENING)
    await eventually(lambda: leg.figures().attribute_failures == 1)
    await scene.permit(AGENT)
    leg.set_agent_state(AgentState.SPEAKING)
    await eventually(lambda: leg.figures().attribute_writes == 2)
    assert leg._events.end is None
