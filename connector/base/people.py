"""People: who is human, who is heard, and how loud. The listening part of a rule, applied to what LiveKit shows. Pure.

In: plain values (kind and source by *name*: the numbers differ between LiveKit's libraries). Out: yes or no, a gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.base.patterns import matches

HUMAN_KINDS = frozenset({"STANDARD", "SIP", "CONNECTOR"})
"""Kinds that are people: browsers and apps, phone calls, bridges to WhatsApp and telephony (design §1)."""

PUBLISH_ON_BEHALF = "lk.publish_on_behalf"
"""The attribute of an avatar that speaks for an agent: never a person."""

MAX_HEARD = 100
"""Most tracks heard at once in one room: 100 people cost about 0.6 core (measured)."""

_SOURCES = {"SOURCE_MICROPHONE": "microphone", "SOURCE_SCREENSHARE_AUDIO": "screen_share_audio"}
_KIND_PREFIX = "PARTICIPANT_KIND_"


@dataclass(frozen=True, slots=True)
class Person:
    """What must be known of a participant.

    Attributes:
        identity: Its identity.
        kind: The name of its kind, with or without ``PARTICIPANT_KIND_``.
        attributes: Its attributes.
    """

    identity: str
    kind: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenRule:
    """Whom a session hears.

    Attributes:
        sources: ``microphone`` and ``screen_share_audio``, one or both.
        include: Patterns with ``*`` and ``?`` on the identity, case-sensitive; at least one must match.
        exclude: Patterns of which none may match. Whoever is excluded does not count as a human either.
        gain_db: Pattern → gain in dB; the first that matches applies.
    """

    sources: tuple[str, ...] = ("microphone",)
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    gain_db: Mapping[str, float] = field(default_factory=dict)

    def is_human(self, person: Person, own_identity: str) -> bool:
        """Whether a participant is a person whom this rule may hear."""
        return (
            person.kind.removeprefix(_KIND_PREFIX) in HUMAN_KINDS
            and person.identity != own_identity
            and PUBLISH_ON_BEHALF not in person.attributes
            and any(matches(pattern, person.identity) for pattern in self.include)
            and not any(matches(pattern, person.identity) for pattern in self.exclude)
        )

    def hears(self, person: Person, source: str, own_identity: str) -> bool:
        """Whether an audio publication is heard.

        Args:
            person: Its owner.
            source: The name of its ``TrackSource``, for example ``SOURCE_MICROPHONE``.
            own_identity: The connector's own identity in the room.
        """
        return _SOURCES.get(source) in self.sources and self.is_human(person, own_identity)

    def gain_for(self, identity: str) -> float:
        """The gain of a participant, in dB; 0 when no pattern matches."""
        return next((gain for pattern, gain in self.gain_db.items() if matches(pattern, identity)), 0.0)
