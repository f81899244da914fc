"""Which of the tracks in a room are heard, how loud, and what else the look at them shows. Pure.

In: plain values of people and of what they publish, the listening rule (`base/people.py`). Out: a gain per track.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from connector.base.people import MAX_HEARD, ListenRule, Person


@dataclass(frozen=True, slots=True)
class Published:
    """One publication.

    Attributes:
        key: Unique per publication.
        person: Its owner.
        audio: Whether it is audio.
        source: The name of its ``TrackSource``.
        encrypted: Whether it is end-to-end encrypted.
    """

    key: str
    person: Person
    audio: bool
    source: str
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What a look at a room gives.

    Attributes:
        gains_db: What is to be heard: key → gain in dB.
        over_cap: How many tracks more the rule would hear.
        encrypted: Whether anything is published end-to-end encrypted.
    """

    gains_db: dict[str, float] = field(default_factory=dict)
    over_cap: int = 0
    encrypted: bool = False


def choose(
    published: Iterable[Published], listen: ListenRule, own_identity: str, heard: Collection[str] = ()
) -> Choice:
    """Decide what is heard.

    Args:
        published: Everything that others publish.
        listen: The rule.
        own_identity: The connector's own identity in the room.
        heard: Keys that are heard already: they stay when there are more than `MAX_HEARD`.
    """
    gains_db: dict[str, float] = {}
    encrypted = False
    for publication in published:
        if publication.encrypted:
            encrypted = True
        elif publication.audio and listen.hears(publication.person, publication.source, own_identity):
            gains_db[publication.key] = listen.gain_for(publication.person.identity)
    over_cap = max(0, len(gains_db) - MAX_HEARD)
    if over_cap:
        ranked = sorted(gains_db, key=lambda key: key not in heard)
        gains_db = {key: gains_db[key] for key in ranked[:MAX_HEARD]}
    return Choice(gains_db, over_cap, encrypted)
