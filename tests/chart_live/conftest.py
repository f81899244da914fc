"""The chart on a real API server: run by `make chart-live`, which builds one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.helm import tool
from tests.chart_live.cluster import Cluster

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder carries the marker `chart_live`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.chart_live)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests."""
    tools = os.environ.get("KUBE_TOOLS")
    assert tools, "KUBE_TOOLS is not set: these tests are run by `make chart-live`"
    with Cluster(Path(tools), Path(tool("crds")), tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
