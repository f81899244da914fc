import base64
import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from connector.config.load import load_text
from connector.config.secrets import SECRET_NAMES
from tests.chart.helm import (
    CHART,
    CI_VALUES,
    KUBERNETES,
    TEMPLATES,
    Objects,
    RefusedError,
    one,
    render,
    render_text,
    run,
    smallest_with,
    tool,
)

EACH = pytest.mark.parametrize("file", CI_VALUES, ids=lambda file: file.stem)
MINOR = ".".join(KUBERNETES.split(".")[:2]) + ".0"


def _closed(schema: Any) -> Any:
    """A CRD's schema as strict as the API server with field validation: no unknown field."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _closed(value) for key, value in schema.items() if key != "format"}
    if "properties" in out and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.setdefault("additionalProperties", False)
    return out


def _custom_kinds() -> dict[tuple[str, str], Draft7Validator]:
    found = {}
    for file in Path(tool("crds")).iterdir():
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = _closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = Draft7Validator(schema)
    return found


@pytest.fixture(scope="module")
def custom_kinds() -> dict[tuple[str, str], Draft7Validator]:
    """Validators of the custom kinds that the chart makes."""
    return _custom_kinds()


def _check(found: dict[str, Any], custom: dict[tuple[str, str], Draft7Validator]) -> None:
    validator = custom.get((found["apiVersion"], found["kind"]))
    if validator is None:
        kubernetes_validate.validate(found, MINOR, strict=True)
    else:
        validator.validate(found)


@EACH
def test_helm_lints_it(file: Path) -> None:
    """`helm lint --strict` finds nothing."""
    assert "1 chart(s) linted, 0 chart(s) failed" in run(tool("helm"), "lint", "--strict", CHART, "-f", file)


@EACH
def test_every_object_is_valid(file: Path, custom_kinds: dict[tuple[str, str], Draft7Validator]) -> None:
    """Strictly: no unknown field, no field twice, every type right."""
    objects = render(file)
    assert len(objects) >= 2
    for found in objects:
        _check(found, custom_kinds)


def test_validation_would_notice(custom_kinds: dict[tuple[str, str], Draft7Validator]) -> None:
    """An unknown field in a built-in or in a custom kind is found."""
    objects = render(next(file for file in CI_VALUES if file.stem == "keda-values"))
    one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    one(objects, "PodMonitor")["spec"]["podMetricsEndpoint"] = []
    for kind in ("Deployment", "PodMonitor"):
        with pytest.raises(Exception, match=r"livenesProbe|podMetricsEndpoint"):
            _check(one(objects, kind), custom_kinds)


def test_every_template_is_rendered_by_some_values() -> None:
    """No template escapes the checks above."""
    rendered = set()
    for file in CI_VALUES:
        rendered |= set(re.findall(r"# Source: connector/templates/(\S+)", render_text(file)))
    assert rendered == {path.name for path in TEMPLATES} - {"requirements.yaml"}


@pytest.mark.parametrize("old", ["1.29.9", "1.20.0"])
def test_an_old_cluster_is_refused(old: str) -> None:
    """Kubernetes before 1.30 knows no sleep in preStop; Helm says so."""
    with pytest.raises(RefusedError, match="incompatible with Kubernetes"):
        run(tool("helm"), "template", CHART, "-f", CI_VALUES[0], "--kube-version", old)


def test_the_oldest_cluster_is_accepted() -> None:
    """Kubernetes 1.30 takes every object."""
    builtin = ("v1", "apps", "policy", "autoscaling", "networking.k8s.io")
    kinds = set()
    for file in CI_VALUES:
        for found in render(file, extra=("--kube-version", "1.30.0")):
            if found["apiVersion"].split("/")[0] in builtin:
                kubernetes_validate.validate(found, "1.30.0", strict=True)
                kinds.add(found["kind"])
    assert kinds >= {"Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "Ingress"}


def _rooms(objects: Objects) -> str:
    text: str = one(objects, "ConfigMap", "rc-connector")["data"]["rooms.yaml"]
    return text


@pytest.mark.parametrize("stem", ["inline-values", "keda-values", "hpa-values"])
def test_the_worker_reads_what_the_chart_writes(stem: str) -> None:
    """The rendered rooms.yaml is accepted by the product, under the environment of the pod, with all that was said."""
    file = CHART / "ci" / f"{stem}.yaml"
    objects = render(file)
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    environ = {each["name"]: each.get("value", "2") for each in container["env"]}
    loaded = load_text(_rooms(objects), environ=environ)
    values = yaml.safe_load(file.read_text())["config"]
    assert len(loaded.config.rules) == len(values["rooms"])
    assert loaded.config.worker.private_listen == "0.0.0.0:9090"
    assert loaded.config.worker.engines == 2
    assert loaded.config.worker.claims == ("memory" if stem == "inline-values" else "redis")
    assert yaml.safe_load(_rooms(objects)) == values


@EACH
def test_the_environment_is_the_products(file: Path) -> None:
    """Every variable that the chart sets is one that the product's reference knows."""
    reference = (CHART.parents[1] / "docs" / "configuration.md").read_text()
    container = one(render(file), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    for each in container["env"]:
        name = each["name"].removesuffix("_FILE")
        assert name in (*SECRET_NAMES, "PYTHONFAULTHANDLER") or f"`{name}`" in reference, name


@EACH
def test_the_worker_accepts_its_environment(file: Path) -> None:
    """Every override that the chart makes is valid, an IPv6 address too."""
    container = one(render(file), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    environ = {each["name"]: each.get("value", "2") for each in container["env"]}
    loaded = load_text(_rooms(render(smallest_with({}))), environ=environ)
    assert loaded.config.worker.listen == environ["CONNECTOR_LISTEN"]
    assert f"{loaded.config.worker.drain_timeout:.0f}s" == environ["CONNECTOR_DRAIN_TIMEOUT"]


def test_drain_and_grace_cannot_disagree() -> None:
    """One value feeds the process and the pod's grace period, which is a minute longer."""
    for seconds in (0, 1800, 86400):
        pod = one(render(smallest_with({"drain": {"timeoutSeconds": seconds}})), "Deployment")["spec"]["template"][
            "spec"
        ]
        environ = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert environ["CONNECTOR_DRAIN_TIMEOUT"] == f"{seconds}s"
        assert pod["terminationGracePeriodSeconds"] == seconds + 60


def test_changed_rooms_restart_nothing() -> None:
    """Other rooms leave the Deployment as it was; another inline claim store does not."""
    before = one(render(smallest_with({})), "Deployment")
    rooms = {"config": {"rooms": [{"room": "other", "agent": "1"}]}}
    assert one(render(smallest_with(rooms)), "Deployment") == before
    key = {"credentials": {"millisPrivateKey": {"value": "another-key"}}}
    assert one(render(smallest_with(key)), "Deployment") == before
    stores = [
        one(render(smallest_with({"credentials": {"redisUrl": {"value": url}}})), "Deployment")["spec"]["template"]
        for url in ("redis://a", "redis://b")
    ]
    assert stores[0]["metadata"] != stores[1]["metadata"]


def test_secrets_stand_only_in_the_secret() -> None:
    """No inline credential is found anywhere but, encoded, in the Secret."""
    file = CHART / "ci" / "keda-values.yaml"
    credentials = yaml.safe_load(file.read_text())["credentials"]
    objects = render(file)
    secret = one(objects, "Secret")
    rest = json.dumps([each for each in objects if each is not secret])
    for name, credential in credentials.items():
        value = credential["value"]
        assert value not in rest, name
        assert base64.b64encode(value.encode()).decode() not in rest, name
        assert base64.b64encode(value.encode()).decode() in secret["data"].values(), name


def test_labels_that_select_never_change() -> None:
    """What a selector matches is in every pod, and no label of the user's can replace it."""
    values = smallest_with(
        {"podLabels": {"app.kubernetes.io/name": "mine"}, "commonLabels": {"app.kubernetes.io/instance": "mine"}}
    )
    deployment = one(render(values), "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/name"] == "connector"
