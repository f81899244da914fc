"""rooms.yaml as a model: every key, its kind, its bounds, its default and its description.

The JSON schema (`connector schema`) and the reference (docs/configuration.md) are made from here, so a description
speaks to the operator. Durations are seconds in Python. Models are closed and frozen; nothing here knows YAML.
"""

from enum import StrEnum
from typing import Annotated, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.config import JsonDict

from connector.base.patterns import is_pattern
from connector.base.people import ListenRule
from connector.config.errors import Check, wrong
from connector.config.kinds import Choice, Duration, Either, Integer, Number, Text
from connector.config.metadata import Json, Metadata
from connector.config.net_kinds import Address, FilePath, IceUrl, OneOrMore, Url
from connector.config.nodes import Scalar

MAX_RULES = 5_000
MAX_LIST = 256
Seconds: TypeAlias = float


class Applies(StrEnum):
    """When a change of a key takes effect, without a restart of the worker or with one."""

    LIVE = "live"
    NEXT_SESSION = "next session"
    RESTART = "restart"


class JoinMode(StrEnum):
    """When a room is served."""

    HUMAN = "human"
    ROOM = "room"
    REQUEST = "request"
    NEVER = "never"


class OnHangup(StrEnum):
    """What follows when the agent hangs up."""

    LEAVE = "leave"
    CLOSE_ROOM = "close_room"
    REJOIN = "rejoin"


class Source(StrEnum):
    """Which audio of a participant can be heard."""

    MICROPHONE = "microphone"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


class AuthForm(StrEnum):
    """How Millis' key stands in the Authorization header."""

    AUTO = "auto"
    RAW = "raw"
    BEARER = "bearer"


class ClaimStore(StrEnum):
    """Where the right to serve a room is kept."""

    MEMORY = "memory"
    REDIS = "redis"


class LookUp(StrEnum):
    """Where the name of an agent is looked up."""

    PARTICIPANT_ATTRIBUTE = "participant_attribute"
    ROOM_METADATA = "room_metadata"


_LIVE: JsonDict = {"x-applies": str(Applies.LIVE)}
_NEXT: JsonDict = {"x-applies": str(Applies.NEXT_SESSION)}
_RESTART: JsonDict = {"x-applies": str(Applies.RESTART)}


def _block(value: object) -> object:
    """A block whose keys are all commented out says nothing, which is fine."""
    return {} if value is None or (isinstance(value, Scalar) and value.is_null) else value


AgentId = Text("a Millis agent id", 128, spaces=False)
Name = Text()
Pattern = Text("a name or pattern")
_WEBSOCKET = (("wss", "wss"), ("ws", "ws"), ("https", "wss"), ("http", "ws"))
_HTTP = (("https", "https"), ("http", "http"))


class Model(BaseModel):
    """Base of every block: closed and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


class LiveKit(Model):
    """The LiveKit server."""

    url: Annotated[str, Url(_WEBSOCKET, "wss://livekit.example.com")] = Field(
        description="Its address; `https` and `http` are read as `wss` and `ws`. Plain only to a private host.",
        json_schema_extra=_RESTART,
    )


class IceServer(Model):
    """A STUN or TURN server for the connection to Millis."""

    urls: Annotated[
        tuple[Annotated[str, IceUrl()], ...],
        Field(min_length=1, max_length=8),
        OneOrMore(),
    ] = Field(description="One URL or a list of them.", json_schema_extra=_RESTART)
    username: Annotated[str | None, Either("null", Name)] = Field(
        None, description="For TURN.", json_schema_extra=_RESTART
    )
    credential_file: Annotated[str | None, Either("null", FilePath())] = Field(
        None, description="For TURN: the file that holds the credential.", json_schema_extra=_RESTART
    )

    @model_validator(mode="after")
    def _turn_needs_credentials(self) -> Self:
        if any(url.startswith("turn") for url in self.urls) and not (self.username and self.credential_file):
            raise wrong(Check.ICE_CREDENTIAL, "expected username and credential_file beside a turn: URL: set both")
        return self


class Millis(Model):
    """The Millis API."""

    url: Annotated[str, Url(_HTTP, "https://api-west.millis.ai", path=False)] = Field(
        description="Its base URL: `https://api-west.millis.ai` (US) or `https://api-eu-west.millis.ai` (EU).",
        json_schema_extra=_RESTART,
    )
    auth: Annotated[AuthForm, Choice(AuthForm)] = Field(
        AuthForm.AUTO,
        description="How the key is sent: bare (`raw`), after the word Bearer (`bearer`), or whichever is accepted.",
        json_schema_extra=_RESTART,
    )
    ice_servers: tuple[IceServer, ...] = Field(
        (),
        max_length=8,
        description="STUN and TURN servers towards Millis; none means host candidates only, which is enough as a rule.",
        json_schema_extra=_RESTART,
    )


class Events(Model):
    """Outgoing lifecycle webhooks."""

    url: Annotated[str | None, Either("null", Url(_HTTP, "https://example.com/hooks"))] = Field(
        None,
        description="Where `session.started`, `.live`, `.recovering` and `.ended` are posted; null means nowhere.",
        json_schema_extra=_RESTART,
    )


class Worker(Model):
    """The worker itself."""

    listen: Annotated[str, Address()] = Field(
        "0.0.0.0:8080",
        description="Where webhooks and the API are served.",
        json_schema_extra=_RESTART,
    )
    private_listen: Annotated[str, Address()] = Field(
        "127.0.0.1:9090", description="Where health and metrics are served.", json_schema_extra=_RESTART
    )
    engines: Annotated[int | None, Either("auto", Integer(1, 64))] = Field(
        None,
        description="Engine processes; `auto` is one for each core that it may use, at least 2, at most 8.",
        json_schema_extra=_RESTART,
    )
    max_sessions: Annotated[int, Integer(1, 200)] = Field(
        10, description="Sessions for each engine; one core carries about ten.", json_schema_extra=_RESTART
    )
    reconcile_every: Annotated[Seconds, Duration("1s", "5m")] = Field(
        10.0, description="How often LiveKit is asked which rooms there are.", json_schema_extra=_RESTART
    )
    drain_timeout: Annotated[Seconds, Duration("0s", "24h")] = Field(
        1800.0, description="How long live calls may go on after SIGTERM.", json_schema_extra=_RESTART
    )
    claims: Annotated[ClaimStore, Choice(ClaimStore)] = Field(
        ClaimStore.MEMORY,
        description="Where the right to serve a room is kept: `memory` for one replica, `redis` for many.",
        json_schema_extra=_RESTART,
    )
    agent_name: Annotated[str | None, Either("null", Name)] = Field(
        None, description="Take part in LiveKit's agent dispatch under this name.", json_schema_extra=_RESTART
    )
    events: Annotated[Events, BeforeValidator(_block)] = Field(
        Events(), description="Outgoing lifecycle webhooks.", json_schema_extra=_RESTART
    )

    @model_validator(mode="after")
    def _addresses_differ(self) -> Self:
        if self.listen == self.private_listen and not self.listen.endswith(":0"):
            raise wrong(
                Check.ADDRESS_TWICE, f"expected private_listen to differ from listen, found {self.listen} twice"
            )
        return self


class AgentLookUp(Model):
    """An agent that depends on who calls, or on the room."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["map"]}, {"required": ["allow"]}]})

    source: Annotated[LookUp, Choice(LookUp)] = Field(
        alias="from", description="Look in an attribute of a human, or in the room's metadata (a JSON object)."
    )
    key: Annotated[str, Name] = Field(description="The attribute's name, or the key in the metadata.")
    map: dict[Annotated[str, Name], Annotated[str, AgentId]] | None = Field(
        None, min_length=1, max_length=MAX_LIST, description="From the value that is found to the agent id."
    )
    allow: tuple[Annotated[str, AgentId], ...] | None = Field(
        None, min_length=1, max_length=MAX_LIST, description="The value is itself an agent id, one of these."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.map is None) == (self.allow is None):
            count = "neither" if self.map is None else "both"
            raise wrong(Check.AGENT_CHOICE, f"expected exactly one of map and allow, found {count}")
        return self


def _agent_form(value: object) -> str:
    return "look-up" if isinstance(value, dict | AgentLookUp) else "id"


Agent: TypeAlias = Annotated[
    Annotated[str, AgentId, Tag("id")] | Annotated[AgentLookUp, Tag("look-up")], Discriminator(_agent_form)
]
UNION_TAGS = frozenset({"id", "look-up"})
"""What pydantic inserts into the location of an error inside an agent."""


class Participant(Model):
    """The connector as a participant."""

    identity: Annotated[str, Name] = Field(
        "millis-agent",
        description="Its identity. LiveKit admits each identity once per room: the last guard against two agents.",
    )
    name: Annotated[str, Name] = Field("Voice agent", description="The name that people see.")


class Listen(Model):
    """Whom the agent hears."""

    sources: tuple[Annotated[Source, Choice(Source)], ...] = Field(
        (Source.MICROPHONE,), min_length=1, max_length=2, description="`microphone`, `screen_share_audio`, or both."
    )
    include: tuple[Annotated[str, Pattern], ...] = Field(
        ("*",), min_length=1, max_length=MAX_LIST, description="Identities that are heard."
    )
    exclude: tuple[Annotated[str, Pattern], ...] = Field(
        (), max_length=MAX_LIST, description="Identities that are not heard and do not count as humans."
    )
    gain_db: dict[Annotated[str, Pattern], Annotated[float, Number(-40, 20)]] = Field(
        default_factory=dict,
        max_length=MAX_LIST,
        description="Gain for identities, in dB; the first pattern that matches applies.",
    )


class Reconnect(Model):
    """How a lost connection to the agent is restored."""

    attempts: Annotated[int, Integer(0, 20)] = Field(5, description="So many tries; 0 means none.")
    within: Annotated[Seconds, Duration("1s", "1h")] = Field(120.0, description="In such a time.")


class _RoomName(Model):
    """The first key of a rule (a base of its own, so that it comes first everywhere)."""

    room: Annotated[str, Pattern] = Field(
        description="The rooms that it is for: an exact name, or a pattern with `*` and `?`. Case matters.",
        json_schema_extra=_NEXT,
    )


class RuleSettings(Model):
    """What a rule says about its rooms. `defaults` may hold any of it."""

    agent: Agent | None = Field(
        None,
        description="The Millis agent id, in quotes, or a mapping that looks it up. A rule needs one, or inherits it.",
        json_schema_extra=_NEXT,
    )
    join: Annotated[JoinMode, Choice(JoinMode)] = Field(
        JoinMode.HUMAN,
        description="`human`: while a person is there; `room`: while the room exists; `request`: when asked; `never`.",
        json_schema_extra=_NEXT,
    )
    min_humans: Annotated[int, Integer(1, 100)] = Field(
        1, description="So many people must be there.", json_schema_extra=_NEXT
    )
    leave_after: Annotated[Seconds, Duration("0s", "1h")] = Field(
        10.0, description="How long a session goes on without enough people.", json_schema_extra=_LIVE
    )
    max_duration: Annotated[Seconds, Duration("10s", "24h")] = Field(
        4 * 3600.0, description="The longest session; every open minute is billed.", json_schema_extra=_LIVE
    )
    participant: Annotated[Participant, BeforeValidator(_block)] = Field(
        Participant(), description="The connector as a participant.", json_schema_extra=_NEXT
    )
    listen: Annotated[Listen, BeforeValidator(_block)] = Field(
        Listen(), description="Whom the agent hears. Only humans are ever heard.", json_schema_extra=_LIVE
    )
    on_agent_hangup: Annotated[OnHangup, Choice(OnHangup)] = Field(
        OnHangup.LEAVE,
        description="When the agent hangs up: `leave` the room, `close_room` (ends a phone call), or `rejoin` once.",
        json_schema_extra=_NEXT,
    )
    reconnect: Annotated[Reconnect, BeforeValidator(_block)] = Field(
        Reconnect(),
        description="How a lost connection to the agent is restored. The agent greets anew: it has no memory.",
        json_schema_extra=_NEXT,
    )
    agent_silence: Annotated[Seconds, Duration("5s", "1h")] = Field(
        30.0,
        description="An agent that never paused and then sends no packet at all for so long counts as lost.",
        json_schema_extra=_NEXT,
    )
    metadata: Annotated[dict[str, Json], Metadata(), BeforeValidator(_block)] = Field(
        default_factory=dict,
        description="Passed on to Millis with the call. Millis does not document it for this call; off unless set.",
        json_schema_extra=_NEXT,
    )


class RoomRule(RuleSettings, _RoomName):
    """One entry of `rooms`: which rooms, which agent, how. In a `Config`, defaults are merged in."""

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for many names; otherwise `room` is the name itself."""
        return is_pattern(self.room)

    @property
    def listen_rule(self) -> ListenRule:
        """Its listening part, in the form that is applied to participants."""
        sources = tuple(str(source) for source in self.listen.sources)
        return ListenRule(sources, self.listen.include, self.listen.exclude, self.listen.gain_db)


class ConfigFile(Model):
    """A whole rooms.yaml, as written."""

    livekit: Annotated[LiveKit, BeforeValidator(_block)] = Field(description="The LiveKit server.")
    millis: Annotated[Millis, BeforeValidator(_block)] = Field(description="The Millis API.")
    worker: Annotated[Worker, BeforeValidator(_block)] = Field(Worker(), description="The worker itself.")
    defaults: Annotated[RuleSettings, BeforeValidator(_block)] = Field(
        RuleSettings(), description="Inherited by every rule, key by key; any key of a rule but `room`."
    )
    rooms: tuple[RoomRule, ...] = Field(
        max_length=MAX_RULES, description="The rules. The first whose `room` matches a room's name decides."
    )


class Config(Model):
    """rooms.yaml, resolved: defaults and environment merged in, every value there.

    Attributes:
        rules: In the order of the file; the first that matches decides.
    """

    livekit: LiveKit
    millis: Millis
    worker: Worker
    rules: tuple[RoomRule, ...]
