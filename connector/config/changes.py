"""What differs between two configurations, and when each difference takes effect."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connector.config.model import Applies, Config, RoomRule


@dataclass(frozen=True)
class Change:
    """One key that differs.

    Attributes:
        key: The key, such as ``worker.listen`` or ``listen.gain_db``.
        applies: When the difference takes effect.
    """

    key: str
    applies: Applies


def worker_changes(old: Config, new: Config) -> list[Change]:
    """Every key of livekit, millis and worker that differs; all of them need a restart."""
    return [
        change
        for block in ("livekit", "millis", "worker")
        for change in _changes(getattr(old, block), getattr(new, block), block, Applies.RESTART)
    ]


def rule_changes(old: RoomRule, new: RoomRule) -> list[Change]:
    """Every key that differs between two versions of a rule."""
    return list(_changes(old, new, "", Applies.NEXT_SESSION))


def _changes(old: BaseModel, new: BaseModel, prefix: str, applies: Applies) -> Iterator[Change]:
    """Walk down blocks of the same kind; a key without a mark of its own applies like the block around it."""
    for name, field in type(old).model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        key = f"{prefix}.{field.alias or name}" if prefix else field.alias or name
        own = applies_of(field) or applies
        if isinstance(before, BaseModel) and type(before) is type(after):
            yield from _changes(before, after, key, own)
        elif not _same(before, after):
            yield Change(key, own)


def _same(before: object, after: object) -> bool:
    """Equal, and a mapping also in its order: of the patterns in `gain_db` the first that matches applies."""
    ordered = not isinstance(before, dict) or not isinstance(after, dict) or list(before) == list(after)
    return before == after and ordered


def applies_of(field: FieldInfo) -> Applies | None:
    """When a change of this field takes effect; None where the block around it says so."""
    extra = field.json_schema_extra
    return Applies(str(extra["x-applies"])) if isinstance(extra, dict) and "x-applies" in extra else None
