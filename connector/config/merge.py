"""How a rule inherits: what it does not say itself, `defaults` says, and what nobody says is built in.

Blocks (participant, listen, reconnect) merge key by key; lists and free mappings (gain_db, metadata) replace.
"""

from typing import TypeVar

from pydantic import BaseModel

from connector.config.model import AgentLookUp, RoomRule, RuleSettings

M = TypeVar("M", bound=BaseModel)


def inherit(rule: RoomRule, defaults: RuleSettings) -> RoomRule:
    """The rule with everything that `defaults` adds to it."""
    return _merge(rule, defaults)


def _merge(own: M, inherited: BaseModel) -> M:
    added: dict[str, object] = {}
    for name in inherited.model_fields_set:
        theirs, ours = getattr(inherited, name), getattr(own, name)
        if name not in own.model_fields_set:
            added[name] = theirs
        elif isinstance(theirs, BaseModel) and isinstance(ours, BaseModel) and not isinstance(ours, AgentLookUp):
            added[name] = _merge(ours, theirs)
    return own.model_copy(update=added)
