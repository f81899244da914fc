import re
from typing import Any

import yaml

from connector.config.load import load_text
from connector.config.secrets import read_credentials
from connector.practice.livekit import VERSION
from tests.chart.helm import ROOT

FILE = ROOT / "deploy" / "compose.yaml"
SECRET = "a-secret-that-is-long-enough-for-livekit"


def _substituted() -> dict[str, Any]:
    """The file as compose reads it with only the required variable set."""
    text = FILE.read_text().replace("${LIVEKIT_API_SECRET:?set it to at least 32 characters}", SECRET)
    loaded: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text))
    return loaded


def test_the_worker_accepts_its_environment() -> None:
    """rooms.yaml and the variables of the worker are valid, and point at the two others."""
    services = _substituted()["services"]
    environ = services["worker"]["environment"]
    config = load_text((ROOT / "deploy" / "rooms" / "rooms.yaml").read_text(), environ=environ).config
    credentials = read_credentials(config, environ)
    livekit = yaml.safe_load(services["livekit"]["environment"]["LIVEKIT_CONFIG"])
    assert livekit["keys"] == {credentials.livekit_api_key.reveal(): credentials.livekit_api_secret.reveal()}
    assert config.livekit.url == f"ws://127.0.0.1:{livekit['port']}"
    assert livekit["webhook"]["urls"] == [f"http://{config.worker.listen}/webhooks/livekit"]
    assert services["practice-agent"]["command"][-1] in config.millis.url
    key = services["practice-agent"]["environment"]["MILLIS_PRIVATE_KEY"]
    assert credentials.millis_private_key.reveal() == key


def test_the_worker_may_drain() -> None:
    """The grace period is longer than the drain."""
    worker = _substituted()["services"]["worker"]
    drain = int(worker["environment"]["CONNECTOR_DRAIN_TIMEOUT"].removesuffix("s"))
    assert int(worker["stop_grace_period"].removesuffix("s")) >= drain + 20


def test_what_is_ours_is_hardened() -> None:
    """Read-only, without capabilities, on loopback only; LiveKit is the tested version."""
    services = _substituted()["services"]
    for name in ("worker", "practice-agent"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["tmpfs"] == ["/tmp"]
    assert services["livekit"]["image"].endswith(f"livekit-server:v{VERSION}")
    addresses = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", "\n".join(FILE.read_text().splitlines()))
    assert set(addresses) == {"127.0.0.1"}
