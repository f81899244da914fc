"""A real Kubernetes control plane on loopback, with nodes that only pretend (kwok): started, asked, ended by pid.

Pods on such nodes run nothing: what they would do is tested in tests/image. NetworkPolicies are checked, not enforced.
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeAlias

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Json: TypeAlias = dict[str, Any]
HOST = "127.0.0.1"
_CLOUDY = ("node-ipam", "node-route", "service-lb", "cloud-node-lifecycle", "persistentvolume-attach-detach")
"""Controllers that ask a cloud."""
_READY_S = 180.0
_STOP_S = 10.0


class CommandError(AssertionError):
    """A program that should have succeeded did not."""


class Cluster:
    """etcd, API server, controllers, scheduler and kwok. Context manager.

    Args:
        tools: The folder that scripts/kube-tools.sh prints.
        crds: A folder with custom resource definitions to install.
        folder: For data, keys and logs.
    """

    def __init__(self, tools: Path, crds: Path, folder: Path) -> None:
        self.tools = tools
        self._crds = crds
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.kubeconfig = folder / "kubeconfig"
        self._token = secrets.token_urlsafe(24)
        self._port = free_port()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        self._write_keys()
        self._write_kubeconfig()
        etcd, peer = (f"http://{HOST}:{free_port()}" for _ in range(2))
        self._spawn(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        )
        self._spawn("kube-apiserver", *self._apiserver_flags(etcd))
        self.until(lambda: self._answers("/readyz"), "the API server is ready")
        me = f"--kubeconfig={self.kubeconfig}"
        controllers = ",".join(["*", *(f"-{name}-controller" for name in _CLOUDY)])
        self._spawn(
            "kube-controller-manager",
            me,
            f"--controllers={controllers}",
            "--leader-elect=false",
            f"--bind-address={HOST}",
            f"--secure-port={free_port()}",
            f"--service-account-private-key-file={self._folder / 'sa.key'}",
            f"--root-ca-file={self._folder / 'certs' / 'apiserver.crt'}",
            "--use-service-account-credentials=false",
        )
        self._spawn(
            "kube-scheduler", me, "--leader-elect=false", f"--bind-address={HOST}", f"--secure-port={free_port()}"
        )
        stages = [f"--config={file}" for file in sorted((self.tools / "stages").iterdir())]
        self._spawn("kwok", me, "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", *stages)
        for file in sorted(self._crds.iterdir()):
            self.kubectl("create", "-f", str(file))
        for number in range(3):
            self.kubectl("apply", "-f", "-", stdin=json.dumps(_node(number)))
        self.until(self._nodes_ready, "three nodes are ready")

    def _apiserver_flags(self, etcd: str) -> list[str]:
        return [
            f"--etcd-servers={etcd}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder / 'certs'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self._folder / 'sa.key'}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
        ]

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self._folder / "sa.key").write_bytes(private)
        (self._folder / "sa.pub").write_bytes(public)
        (self._folder / "tokens.csv").write_text(f"{self._token},admin,1,system:masters\n")

    def _write_kubeconfig(self) -> None:
        server = {"server": f"https://{HOST}:{self._port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _spawn(self, program: str, *flags: str) -> None:
        with (self._folder / f"{program}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.tools / program, *flags],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)

    def _stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _answers(self, path: str) -> bool:
        with contextlib.suppress(CommandError):
            return bool(self.kubectl("get", "--raw", path))
        return False

    def _nodes_ready(self) -> bool:
        states = [
            condition["status"]
            for node in self.list("nodes")
            for condition in node.get("status", {}).get("conditions", [])
            if condition["type"] == "Ready"
        ]
        return states == ["True"] * 3

    def run(self, *command: str, stdin: str | None = None) -> tuple[str, str]:
        """Run a program against this cluster; gives what it wrote to both outputs.

        Raises:
            CommandError: It failed.
        """
        done = subprocess.run(
            command,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if done.returncode:
            raise CommandError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl; gives its standard output."""
        return self.run(str(self.tools / "kubectl"), *arguments, stdin=stdin)[0]

    def list(self, kind: str, namespace: str = "default", selector: str = "") -> list[Json]:
        """All objects of a kind in a namespace."""
        out = self.kubectl("get", kind, "-n", namespace, "-l", selector, "-o", "json")
        items: list[Json] = json.loads(out)["items"]
        return items

    def until(self, holds: Callable[[], bool], what: str, within_s: float = _READY_S) -> None:
        """Wait until something holds; fails when a process of the control plane has ended, or after some time."""
        deadline = time.monotonic() + within_s
        while not holds():
            ended = [process.args[0] for process in self._processes if process.poll() is not None]  # type: ignore[index]
            assert not ended, f"{ended} ended; logs in {self._folder}"
            assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
            time.sleep(0.1)


def _node(number: int) -> Json:
    name = f"node-{number}"
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": f"zone-{number}",
        "kubernetes.io/arch": "amd64",
    }
    room = {"cpu": "16", "memory": "64Gi", "pods": "50"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": room, "capacity": room},
    }


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
