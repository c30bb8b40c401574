"""Leaves of nested dicts and differences between them."""

import pytest

from ctai.nested import changed_leaves, leaves

pytestmark = pytest.mark.unit


def test_leaves_have_dotted_keys_and_empty_dicts_count():
    assert list(leaves({"a": {"b": 1, "c": {}}, "d": [1]})) == [("a.b", 1), ("a.c", {}), ("d", [1])]


def test_changed_leaves_are_sorted_and_none_stands_for_a_missing_leaf():
    changes = changed_leaves({"b": 1, "a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}, "c": 4})
    assert list(changes) == [("a.y", 2, 3), ("b", 1, None), ("c", None, 4)]


def test_a_table_that_becomes_a_value_is_one_change():
    assert list(changed_leaves({"a": {"x": 1}}, {"a": 1})) == [("a", {"x": 1}, 1)]
