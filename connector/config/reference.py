"""docs/configuration.md, made from the model: `python -m connector.config.reference > docs/configuration.md`."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connector.config.changes import applies_of
from connector.config.errors import Check
from connector.config.kinds import Kind
from connector.config.load import OVERRIDES
from connector.config.model import (
    AgentLookUp,
    Applies,
    Events,
    IceServer,
    Listen,
    LiveKit,
    Millis,
    Participant,
    Reconnect,
    RoomRule,
    Worker,
)
from connector.config.nodes import path_text
from connector.config.secrets import SECRET_NAMES

_SECTIONS: tuple[tuple[str, type[BaseModel], Applies, str], ...] = (
    ("livekit", LiveKit, Applies.RESTART, ""),
    ("millis", Millis, Applies.RESTART, ""),
    ("millis.ice_servers[]", IceServer, Applies.RESTART, "A `turn:` URL needs `username` and `credential_file`."),
    ("worker", Worker, Applies.RESTART, "All of it may be left out."),
    ("worker.events", Events, Applies.RESTART, ""),
    (
        "rooms[] and defaults",
        RoomRule,
        Applies.NEXT_SESSION,
        "`defaults` may hold every key but `room`; a rule says only what differs.",
    ),
    (
        "rooms[].agent as a mapping",
        AgentLookUp,
        Applies.NEXT_SESSION,
        "Exactly one of `map` and `allow`: whoever sets an attribute must not be able to name just any agent.",
    ),
    ("rooms[].participant", Participant, Applies.NEXT_SESSION, ""),
    ("rooms[].listen", Listen, Applies.LIVE, "Never heard: other agents, recorders, ingress, our own track, video."),
    (
        "rooms[].reconnect",
        Reconnect,
        Applies.NEXT_SESSION,
        "A new connection is a new session: the agent greets again.",
    ),
)

_HEAD = """\
# Configuration

<!-- Made by `make reference` from the model in connector/config; edit there. -->

One file, `rooms.yaml`: which LiveKit rooms get which Millis agent. It is found by `--config`, else by
`CONNECTOR_CONFIG`, else as `./rooms.yaml`. `connector check` validates it and shows the rules, `connector check --room
NAME` says which rule decides about a room and why, `connector schema` prints its JSON schema (draft-07) for
editors and charts.

```yaml
livekit: {url: "wss://livekit.example.com"}
millis: {url: "https://api-west.millis.ai"}
rooms:
  - room: "front-desk"
    agent: "6f1c0c6e"
```

- **Quote every text.** Identities and ids keep their literal text (`0123` stays `0123`), but other tools that read the
  file may be less careful, and a pattern that begins with `*` must be quoted.
- **Rules.** The first rule whose `room` matches a room's name decides: an exact name, or a pattern in which `*` is any
  run of characters and `?` exactly one. Case matters. Identities in `listen` follow the same pattern language.
- **Inheritance.** What a rule does not say, `defaults` says. `participant`, `listen` and `reconnect` merge key by key;
  lists, `gain_db`, `metadata` and `agent` replace as a whole.
- **Durations** are a number and a unit: `500ms`, `10s`, `2m`, `1.5h`.
- **Private hosts.** Plain `http` and `ws` are accepted only for a loopback or private address, `localhost`, a name
  without dots, or one that ends in `.local`, `.internal`, `.svc` or `.svc.cluster.local`.
- **Every error at once**, one line each, with line and column: `rooms.yaml:14:7 rooms[1].agent: expected …, found …`;
  the exit code is 78.
"""

_APPLIES = """\
## Reload

The worker looks at the file again and again, and what changed comes into force within 2 s of the write (a file with
thousands of rules takes a second more). No signal is needed. It does not matter how the file is changed: overwritten,
replaced by an editor's rename, deleted and written anew, or mounted from a Kubernetes ConfigMap (the kubelet brings
such a change only after its own sync period, up to a minute or more; a `subPath` mount never gets it).

| a change marked | takes effect |
|---|---|
| live | in running sessions too |
| next session | from the next session on |
| restart | when the worker starts anew |

- **A running session** goes by the first rule that matches its room *now*: it takes that rule's `listen` (with
  `gain_db`), `leave_after` and `max_duration`. Both limits count from where they always do, so a `max_duration` that is
  over already ends the session at once. Everything else it keeps as it was when it started.
- **A room that no rule wants any more** (its rule is gone, or says `join: never`) is left with `rule_removed` after the
  `leave_after` that its session had. If a later version of the file wants the room again before that, it stays.
- **`livekit`, `millis` and `worker`** stay as they were at the start. A change of them is named by one warning,
  `restart_needed`, and by `/readyz` until the worker is restarted or the change is taken back.
- **A bad file** (invalid, half-written, unreadable, too large, gone) changes nothing: the version before stays in
  force. Each problem is one log line, `reload_failed`, with line and column, written once and not again while the file
  stays as it is; `/readyz` names the first one and stays ready; `connector_config_reload_total{result="failed"}` counts
  it. `connector check` finds the same problems before the file is put in place.
- **A good file** is one log line, `reloaded`, that names the rules that came and went and the keys that changed, by
  when they apply.
- The variables below are those of the process: they are applied to every version of the file, and a change of them
  needs a restart.
"""

_LOGS = """\
## Logs

| variable | values | default |
|---|---|---|
| `CONNECTOR_LOG` | `json` (a line for each event), `console` | `console` on a terminal, else `json` |
| `CONNECTOR_LOG_LEVEL` | `debug`, `info`, `warning`, `error` | `info` |

Logs go to stderr, one line for each event. Identities of people are shown as a hash, whose key is new with each
process; at level `debug` as they are. Secrets, tokens and passwords are cut out of every line at every level. Both
variables hold for all processes of the worker.
"""


def reference() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD, "## Keys\n", *(_section(*section) for section in _SECTIONS)]
    return "\n".join([*parts, _APPLIES, _overrides(), _secrets(), _LOGS, _checks()])


def _section(title: str, model: type[BaseModel], applies: Applies, note: str) -> str:
    doc = (model.__doc__ or "").split("\n", 1)[0] if model is not RoomRule else "One rule."
    rows = [_row(name, field, applies) for name, field in model.model_fields.items()]
    lines = [f"### {title}", "", f"{doc} {note}".strip(), "", "| key | what | values | default | a change |"]
    return "\n".join([*lines, "|---|---|---|---|---|", *rows, ""])


def _row(name: str, field: FieldInfo, applies: Applies) -> str:
    change = (applies_of(field) or applies).value
    cells = (f"`{field.alias or name}`", field.description or "", _values(field), _default(field), change)
    return f"| {' | '.join(cells)} |"


def _values(field: FieldInfo) -> str:
    """What may stand there: the field's own kind, or what its annotation is made of."""
    own = _own_kind(field)
    if own is not None:
        return own.expected
    parts = list(_parts(field.annotation))
    kinds = [part for part in parts if isinstance(part, Kind)]
    origins = {get_origin(part) for part in parts}
    if any(isinstance(part, type) and issubclass(part, BaseModel) for part in parts):
        block = "a list of mappings: see below" if tuple in origins else "a mapping: see below"
        return f"{kinds[0].expected}, or {block}" if kinds else block
    if dict in origins:
        return f"a mapping from {kinds[0].expected} to {kinds[1].expected}"
    return f"a list; each: {kinds[0].expected}"


def _own_kind(field: FieldInfo) -> Kind[Any] | None:
    return next((part for part in field.metadata if isinstance(part, Kind)), None)


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and everything in it; blocks are not entered."""
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    kind = _own_kind(field)
    if kind is not None:
        value = kind.write(value)
    match value:
        case BaseModel():
            return "see below"
        case None:
            return "none"
        case tuple():
            return f"`[{', '.join(str(item) for item in value)}]`"
        case _:
            return f"`{value}`"


def _overrides() -> str:
    rows = [f"| `{variable}` | `{path_text(path)}` |" for variable, path in OVERRIDES.items()]
    head = (
        "## Environment\n\n`CONNECTOR_CONFIG` names the file, unless `--config` does. The following variables override"
        " a value of the file;\neach is written as the value in the file would be, and an error in one names the"
        " variable. One that is set must not be\nempty. Rules cannot be overridden.\n"
    )
    return "\n".join([head, "| variable | overrides |", "|---|---|", *rows, ""])


_NEEDED: Mapping[str, str] = {
    "LIVEKIT_API_KEY": "always",
    "LIVEKIT_API_SECRET": "always; at least 32 bytes",
    "MILLIS_PRIVATE_KEY": "always; the bare key, without the word Bearer",
    "LIVEKIT_API_KEY_2": "while keys are rotated: a second key that is accepted too",
    "LIVEKIT_API_SECRET_2": "with it; at least 32 bytes",
    "REDIS_URL": "for `claims: redis`; may hold a password",
    "CONNECTOR_EVENTS_SECRET": "for `worker.events.url`; `whsec_` and 24 to 64 bytes in base64",
}

_SECRETS_HEAD = """\
## Secrets

Secrets never stand in the file: keys that ask for one, tokens and URLs with a password are refused. Each is given in a
variable, or in a file that the variable with `_FILE` behind its name names; not in both. White space around a secret
does not count. A file that every user of the machine may read is worth a warning.
"""

_ROTATION = """\
**Secrets in files are reloaded** like rooms.yaml, within 2 s and without a restart; secrets in variables are not, for
they cannot change while a process lives. New ones are used by everything that begins from then on: running calls keep
their connections. If any of them is missing or unfit, all of the old ones stay in force; a log line for each problem
(`secrets_reload_failed`) and `/readyz` say why. Old secrets go on being cut out of logs. `REDIS_URL` is read at the
start only.

**To rotate the LiveKit key** without a gap: give the LiveKit server the new key beside the old one; put the new pair
into `LIVEKIT_API_KEY_2` and `LIVEKIT_API_SECRET_2`; from then on tokens and webhooks signed with either are accepted.
Then swap the two pairs: joins are signed with the first one only. When nobody uses the old key any more, remove the
second pair, and the old key from the server. Both variables of the second pair must be set, or neither;
if they name files, let these hold the first pair again until the next restart.
"""


def _secrets() -> str:
    rows = [f"| `{name}` | `{name}_FILE` | {_NEEDED[name]} |" for name in SECRET_NAMES]
    return "\n".join(
        [_SECRETS_HEAD, "| variable | or a file named by | needed |", "|---|---|---|", *rows, "", _ROTATION]
    )


def _checks() -> str:
    rows = [f"| {check.value} | {check.description} |" for check in Check]
    return "\n".join(["## What is checked\n", "| check | what it asks for |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(reference())
