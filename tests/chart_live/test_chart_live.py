import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chart.helm import CHART, CI_VALUES, render_text, smallest_with, tool
from tests.chart_live.cluster import Cluster, CommandError

Values = dict[str, Any]
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
WAIT = ("--wait", "--timeout", "180s")
INSTANCE = "app.kubernetes.io/instance=rc"
THREE: Values = {
    "replicaCount": 3,
    "credentials": {"redisUrl": {"value": "redis://redis.example.com"}},
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboard": {"enabled": True}},
    "networkPolicy": {"enabled": True, "redis": {"to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}},
    "ingress": {"enabled": True, "hosts": ["voice.example.com"]},
}


pytestmark = pytest.mark.timeout(600)


class Release:
    """The chart in a namespace of its own, which admits only restricted pods."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._folder = folder
        labels = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": RESTRICTED}}
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(labels))
        cluster.until(lambda: bool(cluster.list("serviceaccounts", namespace)), "the namespace has its service account")

    def helm(self, *arguments: str, values: Values | None = None, wait: bool = True) -> None:
        """Run helm in the namespace, by default until pods are ready or gone; it prints no warning."""
        more: tuple[str, ...] = WAIT if wait else ()
        if values is not None:
            file = self._folder / "values.json"
            file.write_text(json.dumps(smallest_with(values)))
            more = (str(CHART), "-f", str(file), *more)
        _, errors = self.cluster.run(tool("helm"), *arguments, "-n", self.namespace, *more)
        assert "arning" not in errors

    def pods(self) -> list[dict[str, Any]]:
        """The pods that are not about to end."""
        pods = self.cluster.list("pods", self.namespace, INSTANCE)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def uids(self) -> set[str]:
        """What tells pods apart."""
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def images(self) -> set[str]:
        """The images that run."""
        return {pod["spec"]["containers"][0]["image"] for pod in self.pods()}

    def deployment(self) -> dict[str, Any]:
        """The Deployment."""
        (found,) = self.cluster.list("deployments", self.namespace, INSTANCE)
        return found

    def evict(self, pod: str) -> None:
        """Ask for an eviction, as a node drain does.

        Raises:
            CommandError: It was refused.
        """
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.namespace}}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


@pytest.fixture
def new_release(cluster: Cluster, tmp_path: Path) -> Callable[[str], Release]:
    """Makes a namespace for the chart."""
    return lambda namespace: Release(cluster, namespace, tmp_path)


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda file: file.stem)
def test_every_object_is_accepted_without_a_warning(
    cluster: Cluster, new_release: Callable[[str], Release], file: Path
) -> None:
    """A server-side dry run under Pod Security `restricted` takes every object and has nothing to remark."""
    namespace = f"dry-{file.stem}"
    new_release(namespace)
    rendered = render_text(file, namespace=namespace)
    kubectl = str(cluster.tools / "kubectl")
    out, errors = cluster.run(kubectl, "apply", "--dry-run=server", "-n", namespace, "-f", "-", stdin=rendered)
    assert errors == ""
    assert out.count("(server dry run)") == rendered.count("\nkind: ")


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ({"securityContext": {"allowPrivilegeEscalation": True}}, 'would violate PodSecurity "restricted'),
        ({"podSecurityContext": {"seccompProfile": None}}, 'would violate PodSecurity "restricted'),
        ({"tolerations": [{"key": "a", "operator": "Perhaps"}]}, "Unsupported value"),
        ({"podSecurityContext": {"runAsUsr": 5}}, 'unknown field "spec.template.spec.securityContext.runAsUsr"'),
    ],
    ids=["escalation", "seccomp", "toleration", "unknown field"],
)
def test_the_dry_run_would_notice(cluster: Cluster, values: Values, remark: str) -> None:
    """A weaker pod is warned of, a wrong object refused: the test above is no formality."""
    namespace = "dry-noticed"
    cluster.kubectl("apply", "-f", "-", stdin=_namespace(namespace))
    rendered = render_text(smallest_with(values), namespace=namespace)
    kubectl = str(cluster.tools / "kubectl")
    try:
        _, said = cluster.run(kubectl, "apply", "--dry-run=server", "-n", namespace, "-f", "-", stdin=rendered)
    except CommandError as error:
        said = str(error)
    assert remark in said


def _namespace(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})


def test_changed_rooms_restart_no_pod(new_release: Callable[[str], Release]) -> None:
    """An upgrade with other rooms changes the ConfigMap; the pods are the same as before."""
    release = new_release("rooms")
    release.helm("install", "rc", values=THREE)
    assert len(release.pods()) == 3
    before, generation = release.uids(), release.deployment()["metadata"]["generation"]
    more = {"config": {"rooms": [{"room": "front-desk", "agent": "6f1c0c6e"}, {"room": "call-*", "agent": "0123"}]}}
    release.helm("upgrade", "rc", values={**THREE, **more})
    (rooms,) = (
        found["data"]["rooms.yaml"]
        for found in release.cluster.list("configmaps", release.namespace, INSTANCE)
        if "rooms.yaml" in found["data"]
    )
    assert 'agent: "0123"' in rooms
    assert release.uids() == before
    assert release.deployment()["metadata"]["generation"] == generation
    release.helm("uninstall", "rc")


def test_a_new_image_rolls_out_and_back(new_release: Callable[[str], Release]) -> None:
    """Never fewer pods than wanted, one more at most; a rollback brings the old image back."""
    release = new_release("image")
    release.helm("install", "rc", values=THREE)
    before = release.uids()
    counts: list[tuple[int, int]] = []

    def rolled_out(image: str) -> bool:
        status = release.deployment()["status"]
        counts.append((status.get("availableReplicas", 0), status.get("replicas", 0)))
        return release.images() == {image} and status.get("updatedReplicas") == 3 == status.get("replicas")

    release.helm("upgrade", "rc", values={**THREE, "image": {"tag": "next"}}, wait=False)
    release.cluster.until(lambda: rolled_out("room-connector:next"), "the upgrade rolls out")
    assert not release.uids() & before
    release.helm("rollback", "rc", "1", wait=False)
    release.cluster.until(lambda: rolled_out("room-connector:0.1.0"), "the rollback rolls out")
    assert min(available for available, _ in counts) >= 3
    assert max(replicas for _, replicas in counts) <= 4
    release.helm("uninstall", "rc")


def test_a_drain_takes_one_pod_at_a_time(new_release: Callable[[str], Release]) -> None:
    """While one pod is away, the next eviction is refused with 429; a second healthy pod lets it through again."""
    release = new_release("drain")
    release.helm("install", "rc", values=THREE)
    nodes = [node["metadata"]["name"] for node in release.cluster.list("nodes")]
    first, second, _ = sorted(pod["metadata"]["name"] for pod in release.pods())
    release.cluster.kubectl("cordon", *nodes)  # the successor finds no place, so the state stays as it is
    release.evict(first)
    with pytest.raises(CommandError, match=r"violate the pod.s disruption budget"):
        release.evict(second)
    release.cluster.kubectl("uncordon", *nodes)
    release.cluster.until(lambda: release.deployment()["status"].get("availableReplicas") == 3, "three pods again")

    def evicted() -> bool:
        try:
            release.evict(second)
        except CommandError:
            return False
        return True

    release.cluster.until(evicted, "the eviction is let through")
    release.helm("uninstall", "rc")


def test_one_replica_does_not_block_a_drain(new_release: Callable[[str], Release]) -> None:
    """A node with the only pod can be drained: a budget that never yields would block upgrades for ever."""
    release = new_release("single")
    release.helm("install", "rc", values={})
    (pod,) = release.pods()
    node = pod["spec"]["nodeName"]
    release.cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
    release.cluster.until(lambda: release.deployment()["status"].get("availableReplicas") == 1, "a pod elsewhere")
    (successor,) = release.pods()
    assert successor["spec"]["nodeName"] != node
    release.cluster.kubectl("uncordon", node)
    release.helm("uninstall", "rc")


def test_pods_spread_over_nodes(new_release: Callable[[str], Release]) -> None:
    """Three replicas stand on three nodes, in three zones."""
    release = new_release("spread")
    release.helm("install", "rc", values=THREE)
    assert len({pod["spec"]["nodeName"] for pod in release.pods()}) == 3
    release.helm("uninstall", "rc")


def test_uninstall_leaves_nothing(new_release: Callable[[str], Release]) -> None:
    """After it the namespace holds what it held before, of every kind that there is."""
    release = new_release("leavings")
    cluster, namespace = release.cluster, release.namespace
    kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    kinds = [kind for kind in kinds if not kind.startswith("events")]

    def everything() -> set[str]:
        out = cluster.kubectl("get", ",".join(kinds), "-n", namespace, "-o", "name")
        return set(out.split())

    cluster.until(lambda: any("kube-root-ca" in name for name in everything()), "the namespace is complete")
    before = everything()
    release.helm("install", "rc", values=THREE)
    assert len(everything() - before) > 10
    release.helm("uninstall", "rc")
    cluster.until(lambda: everything() == before, "nothing is left")
