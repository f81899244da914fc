"""`Config` → YAML that loads to the same `Config`: every value written out, every text in quotes."""

import re
from typing import Any

import yaml

from connector.config.model import Config

_PLAIN_KEY = re.compile("[a-z_]{2,}")
_NOT_PLAIN = frozenset({"null", "true", "false", "yes", "no", "on", "off"})


def dump(config: Config) -> str:
    """The configuration as text for a rooms.yaml."""
    document = config.model_dump(mode="python", by_alias=True, exclude={"rules"})
    document["rooms"] = [_without_unset(rule.model_dump(mode="python", by_alias=True)) for rule in config.rules]
    return dump_yaml(document)


def dump_yaml(document: object) -> str:
    """Plain containers as YAML, in the style that the docs recommend: texts quoted, no aliases."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)


def _without_unset(rule: dict[str, Any]) -> dict[str, Any]:
    """Leave out what cannot be written as null: an agent that is not there, and the unused one of map and allow."""
    if rule["agent"] is None:
        del rule["agent"]
    elif isinstance(rule["agent"], dict):
        rule["agent"] = {key: value for key, value in rule["agent"].items() if value is not None}
    return rule


class _Dumper(yaml.SafeDumper):
    """Quotes every text; keys of the model stay plain."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"')


def _mapping(dumper: yaml.SafeDumper, data: dict[str, object]) -> yaml.Node:
    node = dumper.represent_dict(data)
    for key, _ in node.value:
        if _PLAIN_KEY.fullmatch(key.value) and key.value not in _NOT_PLAIN:
            key.style = None
    return node


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
