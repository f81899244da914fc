"""Tests of the chart and the image: run by `make chart`, which brings helm and its companions."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder carries the marker `chart`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.chart)
