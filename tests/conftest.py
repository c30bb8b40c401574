"""Hands the mark `fault` of a test on to the JUnit report, from which `scripts.fault_table` makes the table of faults."""

from collections.abc import Iterable

import pytest


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Write number, plant and check of every `fault` mark into the properties of its test."""
    for item in items:
        for mark in item.iter_markers("fault"):
            properties = {"fault": mark.args[0], **mark.kwargs}
            item.user_properties += [(name, str(value)) for name, value in properties.items()]
