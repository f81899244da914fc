"""What of the tracks in a room is heard."""

from hypothesis import given
from hypothesis import strategies as st

from connector.base.people import MAX_HEARD, ListenRule, Person
from connector.room.hearing import Choice, Published, choose

OWN = "millis-agent"
MICROPHONE = "SOURCE_MICROPHONE"


def published(
    identity: str,
    *,
    kind: str = "PARTICIPANT_KIND_STANDARD",
    audio: bool = True,
    source: str = MICROPHONE,
    encrypted: bool = False,
    attributes: dict[str, str] | None = None,
) -> Published:
    person = Person(identity, kind, attributes or {})
    return Published(f"{identity}/{source}", person, audio=audio, source=source, encrypted=encrypted)


def test_by_default_the_microphones_of_people_are_heard() -> None:
    """Of everything in a room the default rule hears people's microphones, at 0 dB."""
    everything = [
        published("ann"),
        published("phone", kind="PARTICIPANT_KIND_SIP"),
        published("whatsapp", kind="CONNECTOR"),
        published("ann", source="SOURCE_SCREENSHARE_AUDIO"),
        published("ann", audio=False, source="SOURCE_CAMERA"),
        published("bot", kind="PARTICIPANT_KIND_AGENT"),
        published("recording", kind="PARTICIPANT_KIND_EGRESS"),
        published("stream", kind="PARTICIPANT_KIND_INGRESS"),
        published("bridge", kind="PARTICIPANT_KIND_BRIDGE"),
        published("newer", kind="UNKNOWN_17"),
        published("avatar", attributes={"lk.publish_on_behalf": "bot"}),
        published(OWN),
    ]
    heard = {f"{name}/{MICROPHONE}": 0.0 for name in ("ann", "phone", "whatsapp")}
    assert choose(everything, ListenRule(), OWN) == Choice(heard)


def test_the_rule_picks_sources_people_and_gain() -> None:
    """Sources, include, exclude and the first matching gain are the rule's."""
    rule = ListenRule(
        sources=("screen_share_audio",),
        include=("a*", "b?b"),
        exclude=("anna",),
        gain_db={"ann": -3.0, "a*": 6.0},
    )
    shared = [published(name, source="SOURCE_SCREENSHARE_AUDIO") for name in ("ann", "anna", "arno", "bob", "boob")]
    choice = choose([*shared, published("ann")], rule, OWN)
    assert choice.gains_db == {
        "ann/SOURCE_SCREENSHARE_AUDIO": -3.0,
        "arno/SOURCE_SCREENSHARE_AUDIO": 6.0,
        "bob/SOURCE_SCREENSHARE_AUDIO": 0.0,
    }


def test_encrypted_media_is_told_and_not_heard() -> None:
    """Anything encrypted, video too, makes the room encrypted; it is never heard."""
    assert choose([published("ann", encrypted=True)], ListenRule(), OWN) == Choice(encrypted=True)
    camera = published("ann", audio=False, source="SOURCE_CAMERA", encrypted=True)
    assert choose([camera], ListenRule(), OWN).encrypted
    assert not choose([published("ann")], ListenRule(), OWN).encrypted


@given(
    count=st.integers(0, 3 * MAX_HEARD),
    heard=st.sets(st.integers(0, 3 * MAX_HEARD), max_size=MAX_HEARD),
)
def test_the_cap_keeps_who_is_heard_already(count: int, heard: set[int]) -> None:
    """Never more than the cap are heard, nobody without need, and whoever is heard already is not pushed out."""
    everybody = [published(f"p{number}") for number in range(count)]
    already = {f"p{number}/{MICROPHONE}" for number in heard}
    choice = choose(everybody, ListenRule(), OWN, already)
    assert len(choice.gains_db) == min(count, MAX_HEARD)
    assert choice.over_cap == count - len(choice.gains_db)
    assert already & {publication.key for publication in everybody} <= set(choice.gains_db)
