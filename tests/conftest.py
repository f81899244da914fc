"""Rules for every test: a skip is a failure, and nothing is left over."""

import asyncio
from collections.abc import AsyncIterator, Generator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.canaries import leaks

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
"""A machine that does other things besides is no failure of a law."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests did not run; `pytest_sessionfinish` has failed the run for it."""
    for report in _not_run(terminalreporter):
        terminalreporter.write_line(f"did not run, which counts as a failure: {report.nodeid}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that was skipped or expected to fail fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _not_run(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _not_run(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    return [*reporter.stats.get("skipped", []), *reporter.stats.get("xfailed", []), *reporter.stats.get("xpassed", [])]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whatever a test printed or logged holds no secret that its process knows, and no signed token."""
    report = yield
    if call.when == "teardown" and report.passed:
        written = (content for _, where, content in item._report_sections if where != "log")  # pytest's own, unredacted
        shown = "\n".join(written)
        found = leaks(shown)
        if found:
            report.outcome = "failed"
            report.longrepr = f"what this test printed or logged holds secrets: {found}"
    return report


@pytest_asyncio.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    """Fail a test that leaves a task running on its event loop."""
    before = asyncio.all_tasks()
    yield
    for _ in range(20):
        left = {task for task in asyncio.all_tasks() - before if not task.done() and task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.wait(left, timeout=0.05)
    raise AssertionError(f"tasks left over: {sorted(task.get_name() for task in left)}")
