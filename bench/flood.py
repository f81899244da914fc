"""A flood on a worker's public port, and how good webhooks fare in it (issue 4, show 5).

`python -m bench.flood --alone` measures the ports by themselves. For a whole worker: `LIVEKIT_API_KEY` and
`LIVEKIT_API_SECRET` as the worker has them, `--url http://127.0.0.1:8080 --pid <control process>`, and `--room` if the
good webhooks are to be of a room that it serves. Loopback only. The flood runs at the lowest priority; good webhooks
are sent and timed at the ordinary one.
"""

import argparse
import base64
import contextlib
import hashlib
import ipaddress
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import jwt
import psutil

from bench.flood_load import MOST_LARGE, MOST_RATE, MOST_S, MOST_SLOW
from bench.flood_server import key_from
from connector.base.errors import ConnectorError, UsageError
from connector.http.tokens import KeyPair

GOOD_EVERY_S = 0.1
LIMIT_MS = 250.0
_CALM_S = 3.0
_START_S = 20.0


@dataclass
class Good:
    """Good webhooks: how long each took, and what it was answered.

    Attributes:
        times_ms: Of those that were answered 200, in order.
        answers: Counts by status, or by the name of what went wrong.
    """

    times_ms: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def send(self, client: httpx.Client, url: str, key: KeyPair, room: str) -> None:
        """Send one and time it."""
        body, headers = _webhook(key, room)
        began = time.perf_counter()
        try:
            status = client.post(f"{url}/webhooks/livekit", content=body, headers=headers).status_code
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return
        self.answers[str(status)] += 1
        if status == httpx.codes.OK:
            self.times_ms.append((time.perf_counter() - began) * 1_000)

    def line(self, what: str) -> str:
        """The figures in one line."""
        times = sorted(self.times_ms)
        if not times:
            return f"{what}: none answered 200; {dict(self.answers)}"
        at = [times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.95, 0.99)]
        return (
            f"{what}: {len(times)} good webhooks, p50 {at[0]:.1f} ms, p95 {at[1]:.1f} ms, p99 {at[2]:.1f} ms,"
            f" max {times[-1]:.1f} ms; {dict(self.answers)}"
        )


class Memory:
    """The resident memory of a process, watched from a thread.

    Attributes:
        first_mb: At the beginning.
        most_mb: The most so far.
        cpu_s: The process' CPU seconds since the beginning.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._cpu = self._used()
        self.first_mb = self.most_mb = self._mb()
        self.cpu_s = 0.0

    def _mb(self) -> float:
        return float(self._process.memory_info().rss) / 1e6

    def _used(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch for as long as the context lasts."""
        thread = threading.Thread(target=self._watch, name="memory")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            with contextlib.suppress(psutil.Error):
                self.most_mb = max(self.most_mb, self._mb())
                self.cpu_s = self._used() - self._cpu


def _webhook(key: KeyPair, room: str) -> tuple[bytes, dict[str, str]]:
    now = int(time.time())
    event = {
        "event": "participant_joined",
        "id": f"EV_{secrets.token_hex(8)}",
        "createdAt": str(now),
        "room": {"sid": "RM_flood", "name": room},
        "participant": {"sid": "PA_flood", "identity": "flood"},
    }
    body = json.dumps(event).encode()
    claims = {"iss": key.key, "nbf": now, "exp": now + 300}
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = jwt.encode({**claims, "sha256": digest}, key.secret.reveal(), algorithm="HS256")
    return body, {"Authorization": token, "Content-Type": "application/webhook+json"}


def measure(url: str, key: KeyPair, room: str, until: float) -> Good:
    """Send good webhooks, ten a second, in turn on a kept connection and on a fresh one."""
    good = Good()
    with httpx.Client(trust_env=False, timeout=10) as kept:
        number = 0
        while time.monotonic() < until:
            number += 1
            if number % 2:
                good.send(kept, url, key, room)
            else:
                with httpx.Client(trust_env=False, timeout=10) as fresh:
                    good.send(fresh, url, key, room)
            time.sleep(GOOD_EVERY_S)
    return good


def flood(url: str, pid: int, key: KeyPair, given: argparse.Namespace) -> bool:
    """Measure in calm, then in the flood; print both.

    Returns:
        Whether every good webhook was answered 200 in less than 250 ms.
    """
    print(measure(url, key, given.room, time.monotonic() + _CALM_S).line("calm"))
    memory = Memory(pid)
    parts = urlsplit(url)
    command = [sys.executable, "-m", "bench.flood_load", "--host", str(parts.hostname), "--port", str(parts.port)]
    for name in ("rate", "slow", "large", "seconds"):
        command += [f"--{name}", str(getattr(given, name))]
    with memory.watched(), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        good = measure(url, key, given.room, time.monotonic() + given.seconds)
        told = json.loads(load.communicate(timeout=30)[0])
    bad = sum(count for name, count in told.items() if name.startswith("bad_"))
    print(good.line("flood"))
    print(f"the flood: {bad / told['seconds']:.0f} bad signatures a second; {told}")
    print(
        f"process {pid}: {memory.first_mb:.1f} MB before, {memory.most_mb:.1f} MB at most"
        f" (+{memory.most_mb - memory.first_mb:.1f} MB), {memory.cpu_s / told['seconds']:.0%} of a core;"
        f" load average {os.getloadavg()[0]:.1f}"
    )
    return set(good.answers) == {"200"} and max(good.times_ms) < LIMIT_MS


def alone(given: argparse.Namespace) -> bool:
    """The ports by themselves, in a process of their own."""
    environ = {"LIVEKIT_API_KEY": "flood", "LIVEKIT_API_SECRET": secrets.token_urlsafe(32)}
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.flood_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environ},
        text=True,
    )
    try:
        assert server.stdout is not None
        return flood(server.stdout.readline().strip(), server.pid, key_from(environ), given)
    finally:
        print(server.communicate(timeout=_START_S)[0].strip())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says; 0 when good webhooks fared well."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--alone", action="store_true", help="the ports by themselves")
    parser.add_argument("--url", help="the public port of a running worker, on loopback")
    parser.add_argument("--pid", type=int, help="its control process")
    parser.add_argument("--room", default="flood", help="of the good webhooks")
    parser.add_argument("--seconds", type=float, default=20.0, help=f"at most {MOST_S:.0f}")
    parser.add_argument("--rate", type=int, default=1_000, help=f"bad signatures a second, at most {MOST_RATE}")
    parser.add_argument("--slow", type=int, default=250, help=f"slow senders at once, at most {MOST_SLOW}")
    parser.add_argument("--large", type=int, default=4, help=f"senders of 10 MB bodies, at most {MOST_LARGE}")
    given = parser.parse_args(arguments)
    given.seconds = min(given.seconds, MOST_S)
    if given.alone:
        return 0 if alone(given) else 1
    if given.url is None or given.pid is None:
        parser.error("give --alone, or --url and --pid")
    if not _is_loopback(urlsplit(given.url).hostname or ""):
        raise UsageError(f"--url {given.url}: a flood is for loopback only, such as http://127.0.0.1:8080")
    return 0 if flood(given.url.rstrip("/"), given.pid, key_from(os.environ), given) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConnectorError as error:
        sys.exit(str(error))
