import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, RefusedError, run
from tests.chart.promql import selectors, wrong

FILE = CHART / "files" / "rules.yaml"
RULES: list[dict[str, Any]] = [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]
CASES = Path(__file__).with_name("rules_test.yaml")
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


def test_promtool_accepts_the_rules() -> None:
    """Every expression and every text with a placeholder can be read."""
    assert f"SUCCESS: {len(RULES)} rules found" in run("promtool", "check", "rules", FILE)


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    """Promtool's cases hold; texts are left out, so that a better word breaks no case."""
    groups = yaml.safe_load(FILE.read_text())
    for group in groups["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups))
    (tmp_path / CASES.name).write_text(CASES.read_text())
    assert "SUCCESS" in run("promtool", "test", "rules", CASES.name, cwd=tmp_path)


def test_a_rule_that_never_fires_would_be_noticed(tmp_path: Path) -> None:
    """The cases fail when a threshold is out of reach."""
    text = re.sub(r"\n\s+annotations:(\n {10}.*)+", "", FILE.read_text())
    (tmp_path / "rules.yaml").write_text(
        text.replace("unserved_oldest_seconds) > 30", "unserved_oldest_seconds) > 3e9")
    )
    (tmp_path / CASES.name).write_text(CASES.read_text())
    with pytest.raises(RefusedError, match="ConnectorRoomUnserved"):
        run("promtool", "test", "rules", CASES.name, cwd=tmp_path)


@EACH
def test_every_alert_has_a_case_in_which_it_fires(rule: dict[str, Any]) -> None:
    """No alert is without a test."""
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert any(case["alertname"] == rule["alert"] and case["exp_alerts"] for case in cases)


@EACH
def test_the_product_has_what_a_rule_asks_for(rule: dict[str, Any]) -> None:
    """Each metric, label and label value stands in the product's catalogue."""
    assert wrong(rule["expr"]) == []
    assert list(selectors(rule["expr"]))


def test_the_cases_use_the_products_metrics() -> None:
    """A test of a series that cannot exist proves nothing."""
    for test in yaml.safe_load(CASES.read_text())["tests"]:
        for series in test["input_series"]:
            labels = re.sub(r',?le="[^"]*"', "", series["series"])
            assert wrong(labels) == []


@EACH
def test_an_alert_says_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    """A severity that a route knows, one line of summary, and a description with a next step."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert 20 < len(rule["annotations"]["summary"]) < 120
    assert len(rule["annotations"]["description"]) > 50


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("connector_no_such_total", "no metric no_such_total"),
        ('rate(connector_sessions_ended_total{outcome="x"}[5m])', "sessions_ended_total has no label outcome"),
        ('connector_circuit_open{target=~"millis|redis"}', "circuit_open: target is never redis"),
        ("sum by (room) (connector_sessions_active)", "nothing has the label room"),
    ],
)
def test_drift_is_found(expr: str, found: str) -> None:
    """The comparison with the catalogue sees each kind of drift."""
    assert wrong(expr) == [found]
