"""Phone calls through the whole worker: SIP-shaped participants, the agent by the number that was called."""

from pathlib import Path

import numpy as np
import pytest
from livekit import api

from connector.audio.frames import RATE_HZ, Samples
from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import Habits
from connector.practice.livekit import LiveKitServer
from connector.practice.sound import tone
from connector.practice.speakers import Place
from tests.e2e.phone_scene import Phone, narrow
from tests.e2e.room_scene import TONE_DBFS, Scene, tone_dbfs
from tests.e2e.worker_scene import KEY, Worker
from tests.until import until

pytestmark = pytest.mark.e2e

SALES, SUPPORT, UNKNOWN = "+4930111", "+4930222", "+4930999"
IN_BAND_HZ, OUT_OF_BAND_HZ = 1_000, 6_000
AGENT_NAME = "front-desk"
RULES = """
livekit: {{url: "{livekit}"}}
millis: {{url: "{millis}"}}
worker: {{reconcile_every: 1s, engines: 1, agent_name: {name}, listen: "127.0.0.1:0", private_listen: "127.0.0.1:0"}}
rooms:
  - room: "{room}*"
    agent: {{from: participant_attribute, key: sip.trunkPhoneNumber, map: {{"{sales}": sales, "{support}": support}}}}
    on_agent_hangup: close_room
    leave_after: 1s
    join: {join}
"""


def agent() -> PracticeAgent:
    """A practice agent that greets with a tone."""
    return PracticeAgent(PracticeOptions(key=Secret(KEY), habits=Habits(greeting="tone", reply="none")))


def phone_worker(server: LiveKitServer, millis: str, room: str, folder: Path, join: str = "human") -> Worker:
    """A worker with one rule for all rooms whose names begin like `room`."""
    worker = Worker(server, millis, room, folder)
    text = RULES.format(
        livekit=server.url, millis=millis, room=room, sales=SALES, support=SUPPORT, join=join, name=AGENT_NAME
    )
    worker.config.write_text(text)
    return worker


def place(scene: Scene, suffix: str = "") -> Place:
    """The scene's room, or another one that the same pattern matches."""
    return Place(scene.server.url, scene.server.api_key, scene.server.api_secret, f"{scene.room}{suffix}")


def heard(practice: PracticeAgent) -> Samples:
    """The last second of what the agent heard in its newest call."""
    recording = practice.sessions[-1].heard
    return np.zeros(0, np.int16) if recording is None else recording.samples[-RATE_HZ:]


def hears_the_agent(phone: Phone) -> bool:
    """Whether the agent's greeting has reached the phone."""
    ear = phone.heard_from("millis-agent")
    recording = None if ear is None else ear.recorder.recording()
    return recording is not None and bool(np.abs(recording.samples).max(initial=0) > 500)


async def test_the_number_that_was_called_decides_about_the_agent(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """One pattern serves two numbers at once, each with its own agent."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path) as worker:
        async with Phone(place(scene, "-1"), "+49151001", SALES), Phone(place(scene, "-2"), "+49151002", SUPPORT):
            await worker.live(times=2)
            assert {call.agent_id for call in practice.live} == {"sales", "support"}
        await worker.ended(sessions=2)


async def test_a_number_that_is_in_no_map_is_not_served(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """The log says that no agent was found, Millis is not called, and the number itself stands in no line."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path) as worker:
        async with Phone(place(scene), "+49151001", UNKNOWN):
            await worker.until(lambda w: any(e["why"] == "no_agent" for e in w.events("room_not_served")))
        assert practice.offers == 0
        assert UNKNOWN not in "".join(worker.lines)


async def test_caller_and_agent_talk(livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path) -> None:
    """The agent hears the caller in the telephone's band, the caller hears the agent; a key press disturbs neither."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path) as worker:
        async with Phone(place(scene), "+49151001", SALES) as phone:
            voice = await phone.publish()
            wide = tone(IN_BAND_HZ, 1.0, TONE_DBFS) + tone(OUT_OF_BAND_HZ, 1.0, TONE_DBFS)
            voice.say(narrow(wide), repeat=True)
            await worker.live()
            await until(lambda: hears_the_agent(phone))
            await phone.press("5")
            before = practice.sessions[-1].packets
            await practice.until(lambda a: a.sessions[-1].packets > before + 100)
            await until(lambda: tone_dbfs(heard(practice), IN_BAND_HZ) > TONE_DBFS - 6)
            assert tone_dbfs(heard(practice), OUT_OF_BAND_HZ) < -50
        assert (await worker.ended())["reason"] == "room_empty"


async def test_the_agent_s_hang_up_ends_the_phone_call(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """With `on_agent_hangup: close_room` the caller is cut off because the room was deleted, and nobody joins again."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path) as worker:
        async with Phone(place(scene), "+49151001", SALES) as phone:
            await worker.live()
            await practice.hang_up(practice.sessions[-1])
            assert (await worker.ended())["reason"] == "agent_hangup"
            await until(lambda: phone.cut_off != "")
            assert phone.cut_off == "ROOM_DELETED"
        await scene.only()
        assert practice.offers == 1


async def test_a_caller_who_hangs_up_ends_the_session(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """The session ends `leave_after` later, and Millis' side is closed."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path) as worker:
        async with Phone(place(scene), "+49151001", SALES):
            await worker.live()
        assert (await worker.ended())["reason"] == "room_empty"
        await practice.until(lambda a: not a.live)


async def test_a_dispatch_rule_s_room_configuration_brings_the_agent(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """With `join: request` nobody is served until LiveKit dispatches our agent name with the call's room."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path, "request") as worker:
        await worker.until(lambda w: bool(w.events("dispatch_registered")))
        named = (api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata='{"agent": "support"}'),)
        async with (
            Phone(place(scene, "-unasked"), "+49151001", SALES),
            Phone(place(scene, "-asked"), "+49151002", SUPPORT, agents=named),
        ):
            await worker.live()
            assert [call.agent_id for call in practice.live] == ["support"]
        assert (await worker.ended())["room"] == f"{room_name}-asked"
        assert practice.offers == 1


async def test_a_dispatch_over_the_api_brings_the_agent_and_takes_it_away(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """CreateDispatch summons the agent into a running call; DeleteDispatch lets it leave; the call goes on."""
    async with agent() as practice, phone_worker(livekit, practice.url, room_name, tmp_path, "request") as worker:
        await worker.until(lambda w: bool(w.events("dispatch_registered")))
        async with Phone(place(scene), "+49151001", SALES) as phone:
            request = api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=scene.room)
            dispatch = await scene.api.agent_dispatch.create_dispatch(request)
            await worker.live()
            assert [call.agent_id for call in practice.live] == ["sales"]
            await scene.api.agent_dispatch.delete_dispatch(dispatch.id, scene.room)
            assert (await worker.ended())["reason"] == "requested"
            await scene.only(phone.identity)
            assert phone.cut_off == ""
        assert practice.offers == 1
