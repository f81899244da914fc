"""Which checks there are, and what keeps them from looking."""

from connector.base.secrets import Secret
from connector.config.load import Loaded, load_text
from connector.config.secrets import Credentials
from connector.doctor.checking import run_checks
from connector.doctor.finding import Finding, Verdict
from connector.doctor.plan import NAMES, Surroundings, plan

CREDENTIALS = Credentials(Secret("key"), Secret("s" * 32), Secret("millis-key"))


def loaded(port: int, worker: str = "") -> Loaded:
    nobody = f"127.0.0.1:{port}"
    text = f'livekit: {{url: "ws://{nobody}"}}\nmillis: {{url: "http://{nobody}"}}\nrooms: []\nworker: {{{worker}}}\n'
    return load_text(text, environ={})


async def found(around: Surroundings) -> dict[str, Finding]:
    """The findings of all checks, which come in the announced order."""
    checks = plan(around)
    assert tuple(check.name for check in checks) == NAMES[2:]
    return {finding.check: finding for finding in await run_checks(checks, lambda *_: None)}


def left_out(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.verdict is Verdict.LEFT_OUT}


async def test_without_rooms_only_the_machine_is_looked_at() -> None:
    """Every check that needs an address says that rooms.yaml comes first."""
    findings = await found(Surroundings(None, None))
    assert left_out(findings) == set(NAMES[5:])
    assert "rooms.yaml must be right first" in findings["Millis"].text


async def test_without_secrets_what_needs_no_key_is_looked_at(unused_tcp_port: int) -> None:
    """Millis and the clocks need no key; LiveKit's API and Redis do."""
    findings = await found(Surroundings(loaded(unused_tcp_port, "claims: redis"), None))
    assert findings["Millis"].verdict is Verdict.FAILED
    assert {"LiveKit", "LiveKit version", "media path", "Redis"} <= left_out(findings)
    assert "secrets must be right first" in findings["Redis"].text


async def test_redis_is_asked_only_where_claims_are_kept_there(unused_tcp_port: int) -> None:
    """With `claims: memory` it is not needed, with `claims: redis` it must answer."""
    memory = await found(Surroundings(loaded(unused_tcp_port), CREDENTIALS, join=False))
    assert "claims is memory" in memory["Redis"].text
    assert "--no-join" in memory["media path"].text
    assert memory["LiveKit"].exit_code == 69
    shared = Credentials(
        Secret("key"), Secret("s" * 32), Secret("m"), redis_url=Secret(f"redis://127.0.0.1:{unused_tcp_port}")
    )
    redis = await found(Surroundings(loaded(unused_tcp_port, "claims: redis"), shared, join=False))
    assert (redis["Redis"].verdict, redis["Redis"].exit_code) == (Verdict.FAILED, 69)
