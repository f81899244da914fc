"""Writes the chart's values.schema.json: the chart's own values, and in `config` the product's schema of rooms.yaml.

Run by `make reference`; tests/chart/test_schema.py holds the file against it.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from connector.config.schema import DRAFT, json_schema

ROOT = Path(__file__).parent.parent
BASE = ROOT / "helm" / "values.schema.base.yaml"
TARGET = ROOT / "helm" / "connector" / "values.schema.json"
SET_BY_THE_CHART = ("listen", "private_listen", "engines", "drain_timeout", "claims")
"""Keys of `worker` that the chart sets by environment, from values of its own."""
Schema: TypeAlias = dict[str, Any]


def rooms_schema() -> Schema:
    """The product's schema, less what the chart sets itself.

    Nothing is required at the top: an existing ConfigMap may take the place of `config`, and for missing URLs
    `templates/requirements.yaml` has plainer words.
    """
    schema = copy.deepcopy(json_schema())
    for key in ("$schema", "title", "required"):
        schema.pop(key, None)
    for block in ("livekit", "millis"):
        schema["properties"][block].pop("required")
    for key in SET_BY_THE_CHART:
        del schema["properties"]["worker"]["properties"][key]
    schema["description"] = "rooms.yaml as values."
    return schema


def values_schema() -> Schema:
    """The whole values.schema.json."""
    base: Schema = yaml.safe_load(BASE.read_text())["schema"]
    base["properties"]["config"] = rooms_schema()
    return {"$schema": DRAFT, "title": "Values of the room connector's chart", **base}


def rendered() -> str:
    """The file's text."""
    return json.dumps(values_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered())
    sys.stdout.write(f"wrote {TARGET.relative_to(ROOT)}\n")
