"""The keys of rooms.yaml as data, read off the model: what is known where."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connector.config.model import ConfigFile
from connector.config.nodes import Path


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        path: Where it stands, without list positions: ``("rooms", "listen", "gain_db")``.
        field: Its field in the model.
        blocks: The models of what stands below it, if it is a block or a list of blocks.
    """

    path: tuple[str, ...]
    field: FieldInfo
    blocks: tuple[type[BaseModel], ...]


def keys_of(model: type[BaseModel] = ConfigFile, path: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key of a model and of the blocks in it, top down."""
    for name, field in model.model_fields.items():
        key = Key((*path, field.alias or name), field, tuple(_blocks(field.annotation)))
        yield key
        for block in key.blocks:
            yield from keys_of(block, key.path)


def known_keys(path: Path) -> tuple[str, ...]:
    """The keys that may stand in the mapping at this path."""
    return _known().get(tuple(part for part in path if isinstance(part, str)), ())


def homes_of(word: str) -> tuple[str, ...]:
    """The blocks where a key of this name is known, as users write them."""
    return tuple(".".join(path) or "the top level" for path, names in _known().items() if word in names)


@cache
def _known() -> dict[tuple[str, ...], tuple[str, ...]]:
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for key in keys_of():
        known[key.path[:-1]] = (*known.get(key.path[:-1], ()), key.path[-1])
    return known


def _blocks(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _blocks(argument)
