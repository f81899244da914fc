"""Checks side by side: each bounded in time, each failing alone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from connector.base.errors import ConnectorError, UnavailableError
from connector.base.redact import redact
from connector.doctor.finding import Finding, Verdict, failures

LIMIT_S = 10.0


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        name: How it is called.
        look: Looks; may raise `ConnectorError`, whose text is then the finding.
        limit_s: The longest it may take.
    """

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]
    limit_s: float = LIMIT_S


async def run_checks(checks: Sequence[Check], on_done: Callable[[int, Sequence[Finding]], None]) -> list[Finding]:
    """Run all checks at once.

    Args:
        checks: What to look at.
        on_done: Called with a check's position and its findings, as soon as they are there.

    Returns:
        All findings, in the order of the checks.
    """

    async def one(index: int, check: Check) -> Sequence[Finding]:
        found = await look(check)
        on_done(index, found)
        return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index, check), name=check.name) for index, check in enumerate(checks)]
    return [finding for task in tasks for finding in task.result()]


async def look(check: Check) -> Sequence[Finding]:
    """Run one check; whatever happens becomes a finding."""
    try:
        async with asyncio.timeout(check.limit_s) as limit:
            return await check.look()
    except ConnectorError as error:
        return failures(check.name, error)
    except TimeoutError:
        if limit.expired():
            return failures(check.name, UnavailableError(f"no result after {check.limit_s:g} s"))
        return failures(check.name, UnavailableError("no answer in time"))
    except Exception as error:  # noqa: BLE001 - the task's boundary: a bug in one check must not hide the others
        text = f"the check itself failed: {redact(repr(error))}"
        return [Finding(check.name, Verdict.FAILED, text, ConnectorError.exit_code)]
