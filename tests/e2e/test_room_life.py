"""How a leg lives through what befalls a real room: interruptions, evictions, the end of the room."""

import asyncio

import pytest
from livekit import api
from livekit.rtc._proto import room_pb2

from connector.base.ends import EndReason
from connector.base.errors import RoomLegError
from connector.base.legs import HumansChanged, RoomEncrypted, RoomRecovered, RoomRecovering
from connector.room.joining import strays
from connector.room.leg import LiveKitRoomLeg
from tests.e2e.room_scene import EXACTLY, Ears, Scene, ends, eventually, hears, hears_anew, next_of
from tests.e2e.test_room_speaking import AGENT, Talker, hears_agent

pytestmark = pytest.mark.e2e

SIMULATE = room_pb2.SimulateScenarioKind


async def break_connection(leg: LiveKitRoomLeg, scenario: SIMULATE.ValueType) -> None:
    """Let the SDK lose its connection as the scenario says."""
    assert leg._room is not None
    await leg._room.simulate_scenario(scenario)


async def test_a_full_reconnect_changes_nothing_for_people(scene: Scene) -> None:
    """After a connection made anew everybody is heard once, hears the agent, and reads its attributes."""
    ears = Ears()
    ann = await scene.speaker("ann", hz=440, hear=True)
    await scene.speaker("bob", hz=600)
    leg = await scene.leg(ears)
    async with Talker(leg):
        await hears(ears, ann=440, bob=600)
        await hears_agent(ann)
        first = ann.heard_from(AGENT)
        await break_connection(leg, SIMULATE.SIMULATE_FULL_RECONNECT)
        await next_of(leg, RoomRecovering)
        assert (await next_of(leg, RoomRecovered)).full
        assert await hears_anew(ears, "ann", 440) == EXACTLY
        assert await hears_anew(ears, "bob", 600) == EXACTLY
        await eventually(lambda: ann.heard_from(AGENT) is not first)
        await hears_agent(ann)
    assert leg.humans == 2
    assert leg.figures().full_reconnects == 1
    assert len((await scene.listed())[AGENT].tracks) == 1


async def test_a_resumed_connection_keeps_everything(scene: Scene) -> None:
    """When only the signal socket was lost, the streams go on and the recovery is told as no full one."""
    ears = Ears()
    await scene.speaker("ann", hz=440)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    await break_connection(leg, SIMULATE.SIMULATE_SIGNAL_RECONNECT)
    recovered = await next_of(leg, RoomRecovered)
    assert recovered.gap_s > 0
    assert await hears_anew(ears, "ann", 440) == EXACTLY


async def test_a_server_that_crashes_and_comes_back(own_scene: Scene) -> None:
    """A server that is killed and comes back is joined again by itself, and the people are heard once."""
    ears = Ears()
    ann = await own_scene.speaker("ann", hz=440, hear=True)
    leg = await own_scene.leg(ears)
    async with Talker(leg):
        await hears(ears, ann=440)
        await hears_agent(ann)
        first = ann.heard_from(AGENT)
        await own_scene.server.kill()
        await next_of(leg, RoomRecovering)
        await own_scene.server.start()
        assert (await next_of(leg, RoomRecovered, 20)).full
        assert await hears_anew(ears, "ann", 440) == EXACTLY
        await eventually(lambda: ann.heard_from(AGENT) is not first, 20)
        await hears_agent(ann)
    assert leg.humans == 1


async def test_a_server_that_shuts_down_is_worth_a_rejoin(own_scene: Scene) -> None:
    """A server that ends says so: the room is lost with a rejoin, and a new leg joins when it is back."""
    leg = await own_scene.leg(Ears())
    await own_scene.server.stop()
    lost = await ends(leg)
    assert (lost.reason, lost.rejoin) == (EndReason.LIVEKIT_UNREACHABLE, True)
    assert "shut down" in lost.detail
    await own_scene.server.start()
    again = await own_scene.leg(Ears())
    await again.settled()


async def test_closing_in_the_middle_of_a_recovery(own_scene: Scene) -> None:
    """A leg whose server is gone closes within its bound, and nothing of it goes on."""
    leg = await own_scene.leg(Ears())
    await own_scene.server.kill()
    await next_of(leg, RoomRecovering)
    async with asyncio.timeout(5):
        await leg.close()
    assert not strays()


async def test_connections_that_flap_are_given_up(scene: Scene) -> None:
    """The fifth interruption within two minutes loses the room, with a rejoin."""
    leg = await scene.leg(Ears())
    for _ in range(4):
        await break_connection(leg, SIMULATE.SIMULATE_FULL_RECONNECT)
        await next_of(leg, RoomRecovered)
    await break_connection(leg, SIMULATE.SIMULATE_FULL_RECONNECT)
    lost = await ends(leg)
    assert (lost.reason, lost.rejoin) == (EndReason.LIVEKIT_UNREACHABLE, True)


async def test_the_newcomer_of_the_same_identity_wins(scene: Scene) -> None:
    """Whoever joins last with our identity stays and is settled; the first learns that it was replaced."""
    first = await scene.leg(Ears())
    await first.settled()
    second = await scene.leg(Ears())
    await second.settled()
    lost = await ends(first)
    assert (lost.reason, lost.rejoin) == (EndReason.REPLACED, False)
    with pytest.raises(RoomLegError) as caught:
        await first.settled()
    assert caught.value.reason is EndReason.REPLACED
    await scene.only(AGENT)


async def test_of_two_that_join_at_once_one_settles(scene: Scene) -> None:
    """Of two legs that join at the same moment exactly one survives; the other one says why, and does not come back."""
    legs = [scene.new_leg(Ears()) for _ in range(2)]

    async def attempt(leg: LiveKitRoomLeg) -> bool:
        try:
            await leg.join()
            await leg.settled()
        except RoomLegError:
            await leg.close()
            return False
        return True

    assert sorted(await asyncio.gather(*map(attempt, legs))) == [False, True]
    await scene.only(AGENT)


@pytest.mark.parametrize(
    ("how", "reason"), [("remove", EndReason.REMOVED), ("delete", EndReason.ROOM_CLOSED)], ids=["removed", "deleted"]
)
async def test_an_administrator_ends_it(scene: Scene, how: str, reason: EndReason) -> None:
    """Being removed and the room being deleted end the leg for good, each with its own reason."""
    leg = await scene.leg(Ears())
    if how == "remove":
        await scene.api.room.remove_participant(api.RoomParticipantIdentity(room=scene.room, identity=AGENT))
    else:
        await scene.api.room.delete_room(api.DeleteRoomRequest(room=scene.room))
    lost = await ends(leg)
    assert (lost.reason, lost.rejoin) == (reason, False)
    assert await leg.next_event() == lost


async def test_an_encrypted_room_is_known_when_join_returns(scene: Scene) -> None:
    """Somebody who already publishes end-to-end encrypted is noticed by `join`, and never subscribed."""
    ears = Ears()
    await scene.speaker("ann", hz=440, shared_key=b"twelve monkeys")
    leg = await scene.leg(ears)
    assert leg.encrypted
    await next_of(leg, RoomEncrypted)
    assert leg.humans == 1
    assert not ears.opened


async def test_encryption_that_begins_later_is_told(scene: Scene) -> None:
    """An encrypted track that is published later is told once."""
    leg = await scene.leg(Ears())
    assert not leg.encrypted
    await scene.speaker("ann", hz=440, shared_key=b"twelve monkeys")
    await next_of(leg, RoomEncrypted)
    assert leg.encrypted


async def test_people_who_come_and_go_in_a_moment(scene: Scene) -> None:
    """The last count told is the right one, whatever came and went before."""
    leg = await scene.leg(Ears())
    for _ in range(3):
        async with asyncio.timeout(10):
            ann = await scene.speaker("ann")
            await ann.leave()
    await scene.speaker("bob")
    await eventually(lambda: leg.humans == 1)
    assert (await next_of(leg, HumansChanged)).count == 1
