"""Checks side by side."""

import asyncio
from collections.abc import Sequence

from connector.base.errors import ConfigError, UnavailableError
from connector.base.secrets import Secret
from connector.doctor.checking import Check, look, run_checks
from connector.doctor.finding import Finding, Verdict, fine


def raising(error: Exception) -> Check:
    async def look() -> Sequence[Finding]:
        raise error

    return Check("it", look)


async def test_checks_run_side_by_side_and_are_told_in_order() -> None:
    """A check that needs another one to have begun comes to its end; the result has the order of the checks."""
    begun = asyncio.Event()
    done: list[int] = []

    async def waits() -> Sequence[Finding]:
        await begun.wait()
        return [fine("first", "a"), fine("first", "b")]

    async def begins() -> Sequence[Finding]:
        begun.set()
        return [fine("second", "c")]

    found = await run_checks([Check("first", waits), Check("second", begins)], lambda index, _: done.append(index))
    assert [finding.text for finding in found] == ["a", "b", "c"]
    assert done == [1, 0]


async def test_a_check_that_hangs_is_cut_off_alone() -> None:
    """After its time a check is an unavailable service; the others are not touched."""

    async def hangs() -> Sequence[Finding]:
        await asyncio.Event().wait()
        raise AssertionError

    async def fits() -> Sequence[Finding]:
        return [fine("b", "well")]

    found = await run_checks([Check("a", hangs, limit_s=0.05), Check("b", fits)], lambda *_: None)
    assert found == [Finding("a", Verdict.FAILED, "no result after 0.05 s", 69), fine("b", "well")]


async def test_every_error_becomes_a_finding() -> None:
    """Errors made on purpose keep their text and exit code; a bug is named as one, without secrets."""
    secret = Secret("a-canary-in-a-bug-0123456789")
    assert [(f.text, f.exit_code) for f in await look(raising(ConfigError(["wrong"])))] == [("wrong", 78)]
    assert [(f.text, f.exit_code) for f in await look(raising(UnavailableError("gone")))] == [("gone", 69)]
    assert [f.text for f in await look(raising(TimeoutError()))] == ["no answer in time"]
    (bug,) = await look(raising(ValueError(secret.reveal())))
    assert (bug.exit_code, bug.text) == (1, "the check itself failed: ValueError('[redacted]')")
