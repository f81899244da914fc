import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from connector.cli import app
from scripts import sizes
from tests.chart.helm import CHART, ROOT, Values, merged, one, render, render_text, run, tool

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
BLOCKS: list[Values] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
EXAMPLES = [block for block in BLOCKS if "rules" not in block]
FIRST = EXAMPLES[0]
DEFAULTS: Values = yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_charts_page_is_generated(tmp_path: Path) -> None:
    """The chart's README is what helm-docs makes of values.yaml (`make chart-reference`)."""
    copy = tmp_path / "connector"
    shutil.copytree(CHART, copy)
    run(tool("helm-docs"), "--chart-search-root", tmp_path, "--sort-values-order", "file", "--log-level", "warning")
    assert (copy / "README.md").read_text() == (CHART / "README.md").read_text()


def test_every_value_has_a_comment() -> None:
    """helm-docs finds a sentence for each value."""
    rows = re.findall(r"^\| (\S+) \| \w+ \| .* \| (.*) \|$", (CHART / "README.md").read_text(), re.MULTILINE)
    assert len(rows) > 100
    assert [key for key, text in rows if not text.strip()] == []


def test_the_sizes_are_the_measured_ones() -> None:
    """The table of sizes follows `make bench`; the defaults are a row of it."""
    assert sizes.rendered() == PAGE
    resources = DEFAULTS["resources"]
    row = next(row for row in PAGE.splitlines() if row.startswith(f"| {resources['requests']['cpu']} | "))
    assert row.endswith(f"| {resources['limits']['memory']} |")


@pytest.mark.parametrize("example", EXAMPLES, ids="-".join)
def test_the_pages_examples_work(example: Values) -> None:
    """Each example of values, put on top of the first one, renders."""
    assert render(merged(FIRST, example))


def test_the_first_example_needs_only_the_secret_of_the_page() -> None:
    """The keys of the Secret that the page makes are those that the pod mounts."""
    made = set(re.findall(r"--from-literal=([a-z-]+)=", PAGE))
    volumes = one(render(FIRST), "Deployment")["spec"]["template"]["spec"]["volumes"]
    (sources,) = (volume["projected"]["sources"] for volume in volumes if "projected" in volume)
    assert {item["key"] for source in sources for item in source["secret"]["items"]} == made


def test_secrets_of_the_chart_and_of_others_have_the_same_keys() -> None:
    """Somebody who moves from inline values to a Secret of their own need not name keys."""
    text = (CHART / "ci" / "keda-values.yaml").read_text()
    inline = one(render(yaml.safe_load(text)), "Secret")["data"]
    assert {each["existingSecret"]["key"] for each in DEFAULTS["credentials"].values()} == set(inline)


def _commands() -> set[str]:
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_commands_that_are_named_exist() -> None:
    """What NOTES.txt and the page tell people to run is in the product."""
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    named = set(re.findall(r"(?:\}\}|`)\s*connector ([a-z-]+)", notes + PAGE))
    rules = (CHART / "files" / "rules.yaml").read_text()
    named |= set(re.findall(r"`connector ([a-z-]+)", rules))
    assert named >= {"doctor", "check", "rooms"}
    assert named <= _commands()


def test_the_alerts_that_are_named_exist() -> None:
    """Alerts on the page and in the values are in the rules."""
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    without = yaml.safe_load((CHART / "ci" / "keda-values.yaml").read_text())["monitoring"]["rules"]["without"]
    assert set(re.findall(r"\bConnector[A-Z][A-Za-z]+\b", PAGE)) | set(without) <= alerts


def _table() -> set[tuple[str, str, str]]:
    """The page's network table: direction, protocol and ports, one row for each combination."""
    section = PAGE.split("## Network")[1].split("\n## ")[0]
    found = set()
    for row in re.findall(r"^\| (in|out) \| [^|]+ \| ([A-Z, ]+) \| ([0-9, -]+) \| [^|]+ \|$", section, re.MULTILINE):
        direction, protocols, ports = row
        found |= {(direction, protocol, port) for protocol in protocols.split(", ") for port in ports.split(", ")}
    return found


def _rendered(policy: dict[str, Any]) -> set[tuple[str, str, str]]:
    numbers = {"http": 8080, "metrics": 9090}
    found = set()
    for direction, key in (("in", "ingress"), ("out", "egress")):
        for rule in policy["spec"][key]:
            for each in rule["ports"]:
                port = numbers.get(each["port"], each["port"])
                last = f"-{each['endPort']}" if "endPort" in each else ""
                found.add((direction, each["protocol"], f"{port}{last}"))
    return found


def test_the_network_policy_is_the_documented_table() -> None:
    """Direction, protocol and ports: nothing more in the policy, nothing less."""
    values = merged(
        FIRST,
        {
            "config": {"worker": {"events": {"url": "https://events.example.com"}}},
            "credentials": {name: {"existingSecret": {"name": "others"}} for name in ("redisUrl", "eventsSecret")},
            "networkPolicy": {"enabled": True, "redis": {"to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}},
        },
    )
    policy = one(render(values), "NetworkPolicy")
    assert _rendered(policy) == _table()
    left_out = {
        cidr
        for rule in policy["spec"]["egress"]
        for peer in rule["to"]
        for cidr in peer.get("ipBlock", {}).get("except", [])
    }
    section = PAGE.split("are left out (")[1].split(")")[0]
    assert left_out == set(re.split(r",\s+", section))


def test_notes_name_no_secret() -> None:
    """What an installation prints is safe in a log."""
    values = yaml.safe_load((CHART / "ci" / "inline-values.yaml").read_text())
    assert values["credentials"]["millisPrivateKey"]["value"] not in render_text(
        values, extra=("--show-only", "templates/deployment.yaml")
    )
