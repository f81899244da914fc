"""The dashboard's queries, as Grafana would send them."""

import json
from typing import Any

from scripts.dashboard import TARGET

PANELS: list[dict[str, Any]] = [panel for panel in json.loads(TARGET.read_text())["panels"] if panel["type"] != "row"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]


def concrete(query: str, window: str = "5m") -> str:
    """A query with values for Grafana's variables: all pods, one window."""
    for variable, value in {"$namespace": ".*", "$pod": ".*", "$__rate_interval": window, "$__range": window}.items():
        query = query.replace(variable, value)
    return query
