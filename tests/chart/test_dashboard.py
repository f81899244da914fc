import json
from typing import Any

import pytest
import yaml

from connector.base.catalog import MEASURES
from scripts.dashboard import ROWS, TARGET, rendered
from tests.chart.helm import run
from tests.chart.promql import selectors, wrong
from tests.chart.queries import PANELS, QUERIES, concrete

DASHBOARD = json.loads(TARGET.read_text())
UNITS = {"cps", "reqps", "s", "bytes", "percentunit", "short"}


def test_the_dashboard_is_made_by_the_script() -> None:
    """files/dashboard.json is what scripts/dashboard.py writes (`make reference`)."""
    assert TARGET.read_text() == rendered()


@pytest.mark.parametrize("query", QUERIES)
def test_the_product_has_what_a_panel_asks_for(query: str) -> None:
    """Each metric, label and label value stands in the product's catalogue, and only the chosen pods are asked."""
    assert wrong(query) == []
    assert query.count('namespace=~"$namespace",pod=~"$pod"') == len(list(selectors(query)))


def test_every_metric_of_the_product_is_shown() -> None:
    """Nothing that the product counts is left out."""
    assert {selector.name for query in QUERIES for selector in selectors(query)} == set(MEASURES)


def test_promtool_parses_every_query(tmp_path: Any) -> None:
    """With values for Grafana's variables, each query is PromQL."""
    rules = [{"record": f"panel:{index}", "expr": concrete(query)} for index, query in enumerate(QUERIES)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run("promtool", "check", "rules", file)


def test_panels_do_not_overlap() -> None:
    """Each cell of the grid belongs to one panel, and none leaves the page."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_panels_are_complete() -> None:
    """Ids and titles are unique, units known, and every series has a name unless it is the only one."""
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len(PANELS) == sum(map(len, ROWS.values()))
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert all(target["legendFormat"] for target in panel["targets"]) or len(panel["targets"]) == 1
