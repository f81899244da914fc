"""Who is heard in a real room, and how loud."""

import asyncio

import numpy as np
import pytest
from livekit import api

from connector.audio.frames import RATE_HZ
from connector.base.legs import HumansChanged
from connector.base.people import ListenRule
from tests.e2e.room_scene import (
    ABSENT_DBFS,
    EXACTLY,
    TONE_DBFS,
    Ears,
    Scene,
    eventually,
    frames_pass,
    hears,
    hears_anew,
    next_of,
    play,
    tone_dbfs,
)

pytestmark = pytest.mark.e2e

TONES = {f"p{n}": 300.0 + 130.0 * n for n in range(8)}


@pytest.mark.parametrize("count", [1, 2, 3, 8])
async def test_everybody_is_heard_once_and_exactly(scene: Scene, count: int) -> None:
    """Of 1, 2, 3 and 8 people with a tone each, every one is heard at its level, on its own input, and nobody else."""
    ears = Ears()
    tones = dict(list(TONES.items())[:count])
    await asyncio.gather(*(scene.speaker(identity, hz=hz) for identity, hz in tones.items()))
    leg = await scene.leg(ears)
    await hears(ears, **tones)
    assert leg.humans == count
    for identity, hz in tones.items():
        (key,) = ears.of(identity)
        await frames_pass(ears, key, 60)
        samples = ears.last(key, RATE_HZ // 2)
        assert tone_dbfs(samples, hz) == EXACTLY
        assert all(tone_dbfs(samples, other) < ABSENT_DBFS for other in TONES.values() if other != hz)
    mix = np.sum([ears.last(ears.of(identity)[0]).astype(np.int32) for identity in tones], axis=0)
    found = {identity for identity, hz in TONES.items() if tone_dbfs(mix / 8, hz) > TONE_DBFS - 20 * np.log10(8) - 6}
    assert found == set(tones)


async def test_the_public_stream_hears_the_same(scene: Scene) -> None:
    """Without the tap, the SDK's own AudioStream delivers the same tones at the same level."""
    ears = Ears()
    await scene.speaker("ann", hz=440)
    await scene.speaker("bob", hz=700)
    leg = await scene.leg(ears, public_audio=True)
    await hears(ears, ann=440, bob=700)
    (key,) = ears.of("ann")
    await frames_pass(ears, key, 60)
    assert tone_dbfs(ears.last(key, RATE_HZ // 2), 440) == EXACTLY
    assert leg.figures().public_streams


async def test_muted_is_silent_and_unmuted_is_heard_again(scene: Scene) -> None:
    """A muted person gives silence on the same input, and the same tone after unmuting."""
    ears = Ears()
    ann = await scene.speaker("ann")
    voice = await ann.publish()
    play(voice, 440)
    await scene.leg(ears)
    await hears(ears, ann=440)
    voice.mute()
    await eventually(lambda: tone_dbfs(ears.last(ears.of("ann")[0]), 440) < ABSENT_DBFS)
    voice.unmute()
    await hears(ears, ann=440)
    assert len(ears.opened) == 1


async def test_a_second_track_is_heard_beside_the_first(scene: Scene) -> None:
    """Two microphones of one person are two inputs; the one that is unpublished closes."""
    ears = Ears()
    ann = await scene.speaker("ann", hz=440)
    await scene.leg(ears)
    await hears(ears, ann=440)
    second = await ann.publish(name="second")
    play(second, 900)
    await hears(ears, ann=900)
    assert ears.hears("ann", 440)
    await ann.unpublish(second)
    await eventually(lambda: len(ears.of("ann")) == 1)
    assert ears.hears("ann", 440)


async def test_a_replaced_track_is_heard_once(scene: Scene) -> None:
    """A person who unpublishes and publishes again is heard by one input."""
    ears = Ears()
    ann = await scene.speaker("ann")
    first = await ann.publish()
    play(first, 440)
    await scene.leg(ears)
    await hears(ears, ann=440)
    await ann.unpublish(first)
    play(await ann.publish(), 600)
    await hears(ears, ann=600)
    assert len(ears.of("ann")) == 1


async def test_screen_share_audio_is_heard_only_when_asked(scene: Scene) -> None:
    """By default the sound of a shared screen is not heard; a rule that names it hears it."""
    ears = Ears()
    ann = await scene.speaker("ann", hz=440)
    play(await ann.publish("screen_share_audio"), 900)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    assert len(ears.opened) == 1
    leg.update_listen(ListenRule(sources=("microphone", "screen_share_audio")))
    await hears(ears, ann=900)
    leg.update_listen(ListenRule())
    await eventually(lambda: len(ears.of("ann")) == 1)
    assert ears.hears("ann", 440)


async def test_agents_and_their_avatars_are_not_heard(scene: Scene) -> None:
    """Another agent, and a participant that publishes on behalf of one, are neither heard nor counted."""
    ears = Ears()
    await scene.speaker("other-agent", hz=500, kind="agent")
    await scene.speaker("avatar", hz=600, attributes={"lk.publish_on_behalf": "other-agent"})
    await scene.speaker("ann", hz=440)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    assert leg.humans == 1
    assert {key.split("/")[0] for key in ears.opened} == {"ann"}


@pytest.mark.parametrize("kind", ["sip", "connector"])
async def test_phones_and_bridges_are_people(scene: Scene, kind: str) -> None:
    """A caller by phone, and one through a telephony or WhatsApp bridge, are heard and counted."""
    ears = Ears()
    await scene.speaker("caller", hz=440, kind=kind)  # type: ignore[arg-type]
    leg = await scene.leg(ears)
    await hears(ears, caller=440)
    assert leg.humans == 1


async def test_patterns_decide_who_is_heard_and_how_loud(scene: Scene) -> None:
    """Whoever is excluded is not heard and no human; the gain follows the identity, also after a change."""
    ears = Ears()
    await scene.speaker("sip_1", hz=440)
    await scene.speaker("recorder-1", hz=600)
    leg = await scene.leg(ears, listen=ListenRule(exclude=("recorder-*",), gain_db={"sip_*": 6.0}))
    await hears(ears, sip_1=440)
    assert leg.humans == 1
    assert list(ears.gains.values()) == [6.0]
    leg.update_listen(ListenRule(gain_db={"sip_?": -3.0}))
    await eventually(lambda: ears.gains[ears.of("sip_1")[0]] == -3.0)
    await hears(ears, **{"recorder-1": 600.0})
    assert (await next_of(leg, HumansChanged)).count == 2


async def test_late_joiners_and_leavers(scene: Scene) -> None:
    """Who comes later is heard and counted; who goes is closed and no longer counted."""
    ears = Ears()
    leg = await scene.leg(ears)
    assert leg.humans == 0
    ann = await scene.speaker("ann", hz=440)
    assert (await next_of(leg, HumansChanged)).count == 1
    await hears(ears, ann=440)
    await ann.leave()
    assert (await next_of(leg, HumansChanged)).count == 0
    assert leg.humans == 0
    assert not ears.open_now


async def test_the_right_to_hear_is_taken_and_given_back(scene: Scene) -> None:
    """While we may not subscribe nothing comes; with the right given back the person is heard again, once."""
    ears = Ears()
    await scene.speaker("ann", hz=440)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    await scene.permit("millis-agent", subscribe=False)
    await eventually(lambda: leg.figures().stalled == 1)
    await scene.permit("millis-agent")
    assert await hears_anew(ears, "ann", 440) == EXACTLY


async def test_a_person_takes_back_and_gives_the_right_to_be_heard(scene: Scene) -> None:
    """A person's own track permissions are honoured, and one input hears the person when they are given back."""
    ears = Ears()
    ann = await scene.speaker("ann", hz=440)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    own = ann.room.local_participant
    own.set_track_subscription_permissions(allow_all_participants=False, participant_permissions=[])
    await eventually(lambda: leg.figures().stalled == 1)
    own.set_track_subscription_permissions(allow_all_participants=True, participant_permissions=[])
    assert await hears_anew(ears, "ann", 440) == EXACTLY


async def test_an_administrator_steers_what_is_heard(scene: Scene) -> None:
    """A subscription that the API takes away stays away, and one that it gives back is heard once."""
    ears = Ears()
    await scene.speaker("ann", hz=440)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    sid = ears.of("ann")[0].split("/")[1]
    request = api.UpdateSubscriptionsRequest(room=scene.room, identity="millis-agent", track_sids=[sid])
    await scene.api.room.update_subscriptions(request)
    await eventually(lambda: leg.figures().stalled == 1)
    request.subscribe = True
    await scene.api.room.update_subscriptions(request)
    assert await hears_anew(ears, "ann", 440) == EXACTLY


async def test_video_is_never_subscribed(scene: Scene) -> None:
    """A camera beside the microphone stays unsubscribed."""
    from livekit import rtc

    ears = Ears()
    ann = await scene.speaker("ann", hz=440)
    camera = rtc.LocalVideoTrack.create_video_track("camera", rtc.VideoSource(64, 64))
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    publication = await ann.room.local_participant.publish_track(camera, options)
    leg = await scene.leg(ears)
    await hears(ears, ann=440)
    assert leg._room is not None
    seen = leg._room.remote_participants["ann"].track_publications[publication.sid]
    assert not seen.subscribed
    assert seen.track is None
