import re
from functools import cache
from typing import Any

import pytest

from tests.chart.helm import CHART, SMALLEST, RefusedError, Values, merged, render, render_text, smallest_with

TEMPLATE = (CHART / "templates" / "requirements.yaml").read_text()
SENTENCES = re.findall(r'append \$wrong (?:\(printf )?"((?:[^"\\]|\\.)*)"', TEMPLATE)
"""What the template says, with %s and %d where something is put in."""
LONG = "an-example-of-a-secret-that-is-long-enough"


def _without(*names: str) -> Values:
    return {"credentials": {name: {"value": ""} for name in names}}


def _config_without(block: str) -> Values:
    return {"config": {key: value for key, value in SMALLEST["config"].items() if key != block}}


REFUSED: dict[str, tuple[Values, str]] = {
    "two sources of rooms": (
        {"existingConfigMap": {"name": "rooms"}},
        "config and existingConfigMap.name are both set: the rooms come from one place, so empty one of them",
    ),
    "no LiveKit": (_config_without("livekit"), "config.livekit.url is not set"),
    "no Millis": (_config_without("millis"), "config.millis.url is not set"),
    "no rooms": (_config_without("rooms"), "config.rooms is not set"),
    "a rule without agent": (
        {"config": {"rooms": [{"room": "a", "agent": "1"}, {"room": "b"}]}},
        "config.rooms[1] (b) has no agent: give it one, or give one in config.defaults, or say join: never",
    ),
    "no API key": (
        _without("livekitApiKey"),
        "credentials.livekitApiKey is not set: name a Secret in credentials.livekitApiKey.existingSecret.name, or set",
    ),
    "no API secret": (_without("livekitApiSecret"), "credentials.livekitApiSecret is not set"),
    "no Millis key": (_without("millisPrivateKey"), "credentials.millisPrivateKey is not set"),
    "half a second key": (
        {"credentials": {"livekitApiKey2": {"value": "x"}}},
        "credentials.livekitApiKey2 and credentials.livekitApiSecret2 belong together",
    ),
    "the other half": (
        {"credentials": {"livekitApiSecret2": {"existingSecret": {"name": "x"}}}},
        "credentials.livekitApiKey2 and credentials.livekitApiSecret2 belong together",
    ),
    "a short secret": (
        {"credentials": {"livekitApiSecret": {"value": "short"}}},
        "credentials.livekitApiSecret.value is 5 characters long and LiveKit asks for at least 32",
    ),
    "a second short secret": (
        {"credentials": {"livekitApiKey2": {"value": "x"}, "livekitApiSecret2": {"value": "short"}}},
        "credentials.livekitApiSecret2.value is 5 characters long",
    ),
    "the word Bearer": (
        {"credentials": {"millisPrivateKey": {"value": "Bearer example-key"}}},
        "credentials.millisPrivateKey.value begins with the word Bearer: set the key alone",
    ),
    "no Redis URL": (
        {"credentials": {"redisUrl": {"value": "redis.example.com:6379"}}},
        "credentials.redisUrl.value is not a Redis URL: begin it with redis://, rediss:// or unix://",
    ),
    "no signing secret": (
        {"credentials": {"eventsSecret": {"value": "whsec_short"}}},
        "credentials.eventsSecret.value is not a Standard Webhooks secret",
    ),
    "events unsigned": (
        {"config": {"worker": {"events": {"url": "https://example.com/hooks"}}}},
        "config.worker.events.url is set and credentials.eventsSecret is not",
    ),
    "replicas without a claim store": (
        {"replicaCount": 2},
        "2 replicas are asked for and they share no claim store, so two of them could put two agents into one room",
    ),
    "an HPA without a claim store": (
        {"autoscaling": {"hpa": {"enabled": True}, "minReplicas": 1, "maxReplicas": 4}},
        "4 replicas are asked for and they share no claim store",
    ),
    "two that scale": (
        {
            "autoscaling": {
                "hpa": {"enabled": True},
                "keda": {"enabled": True, "serverAddress": "http://prometheus:9090"},
                "minReplicas": 1,
                "maxReplicas": 1,
            }
        },
        "autoscaling.hpa and autoscaling.keda are both enabled and would fight over the replicas: enable one",
    ),
    "more at least than at most": (
        {"autoscaling": {"hpa": {"enabled": True}, "minReplicas": 2, "maxReplicas": 1}},
        "autoscaling.minReplicas is greater than autoscaling.maxReplicas",
    ),
    "KEDA without Prometheus": (
        {"autoscaling": {"keda": {"enabled": True}, "minReplicas": 1, "maxReplicas": 1}},
        "autoscaling.keda.serverAddress is not set",
    ),
    "no CPU request": (
        {"resources": {"requests": {"cpu": None}}},
        "resources.requests.cpu is not set, and without it a worker would start an engine for every core of the node",
    ),
    "an ingress without host": ({"ingress": {"enabled": True}}, "ingress.enabled is set and ingress.hosts is empty"),
    "scraped twice": (
        {"monitoring": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "monitoring.podMonitor and monitoring.serviceMonitor are both enabled, so every figure would count twice",
    ),
    "a claim store out of reach": (
        {"networkPolicy": {"enabled": True}, "credentials": {"redisUrl": {"existingSecret": {"name": "redis"}}}},
        "networkPolicy.redis.to is empty and the claim store would be out of reach: say where it is",
    ),
    "our environment": (
        {"extraEnv": [{"name": "CONNECTOR_DRAIN_TIMEOUT", "value": "1s"}]},
        "extraEnv sets CONNECTOR_DRAIN_TIMEOUT, which the chart sets from its own values: change the value instead",
    ),
}


def _lines(values: Values) -> list[str]:
    with pytest.raises(RefusedError) as refused:
        render_text(values)
    return [line.strip() for line in str(refused.value).splitlines() if line.startswith("  ")]


@cache
def _said(case: str) -> list[str]:
    values, _ = REFUSED[case]
    base = {**SMALLEST, "config": {}} if case.startswith("no ") and "config" in values else SMALLEST
    return _lines(merged(base, values))


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_value_is_refused_in_one_sentence(case: str) -> None:
    """The chart refuses it, says so in the words expected, and says nothing else."""
    assert len(_said(case)) == 1
    assert _said(case)[0].startswith(REFUSED[case][1])


@pytest.mark.parametrize("sentence", SENTENCES, ids=range(len(SENTENCES)))
def test_every_refusal_is_tried(sentence: str) -> None:
    """Each sentence of the template is what some case above is told, and a remedy or a reason stands in it."""
    plain = re.escape(sentence.replace('\\"', '"')).replace("%s", ".+").replace("%d", "[0-9]+")
    assert any(re.fullmatch(plain, line) for case in REFUSED for line in _said(case))
    assert re.search(r": | and | is greater than |, which ", sentence)


def test_requirements_hold_every_fail() -> None:
    """Refusals stand in one template, and it renders nothing."""
    for template in (CHART / "templates").iterdir():
        found = template.read_text().count("{{- fail ") + template.read_text().count("{{ fail ")
        assert found == (template.name == "requirements.yaml"), template.name
    assert len(SENTENCES) == TEMPLATE.count("append $wrong")


def test_everything_wrong_is_said_at_once() -> None:
    """Somebody who installs without any value gets the whole list."""
    lines = _lines({})
    expected = ("config.livekit.url", "config.millis.url", "config.rooms", "credentials.livekitApiKey")
    assert [line.split(" is not set")[0] for line in lines][:4] == list(expected)
    assert len(lines) == 6


def test_no_refusal_shows_a_secret() -> None:
    """A credential of the wrong shape is not repeated."""
    for name in ("livekitApiSecret", "redisUrl", "eventsSecret", "millisPrivateKey"):
        values: dict[str, Any] = {"credentials": {name: {"value": "Bearer hunter2hunter2"}}}
        assert not [line for line in _lines(smallest_with(values)) if "hunter2" in line]


@pytest.mark.parametrize("schema_breaker", [{"credentials": {"redisUrl": {"value": 5}}}])
def test_credentials_have_no_pattern_in_the_schema(schema_breaker: Values) -> None:
    """Helm repeats a value that breaks a schema, so the schema asks for a text and no more."""
    with pytest.raises(RefusedError, match="got number, want string"):
        render(smallest_with(schema_breaker))


def test_a_second_key_of_the_right_length_is_accepted() -> None:
    """Both pairs of LiveKit keys may stand side by side."""
    second = {"livekitApiKey2": {"value": "APIsecond"}, "livekitApiSecret2": {"value": LONG}}
    assert render(smallest_with({"credentials": second}))
