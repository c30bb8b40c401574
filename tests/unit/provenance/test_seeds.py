"""Derived seeds and run ids."""

import re

import pytest

from ctai import provenance

pytestmark = pytest.mark.unit


def test_seeds_are_fixed_spread_and_sensitive_to_every_part() -> None:
    # pinned (SHA-256 of `[0,"pilot",1]`): another value would break the reproduction of every old run
    assert provenance.derive_seed(0, "pilot", 1) == 2750529742236583494
    parts: list[tuple[str | int, ...]] = [("a", 1), ("b", 1), ("a", 2), ("a", "1"), ("a1",), ("a", 1, 1)]
    assert len({provenance.derive_seed(seed, *part) for seed in (0, 1) for part in parts}) == 12
    many = [provenance.derive_seed(0, "x", index) for index in range(1000)]
    assert all(0 <= seed < 2**63 for seed in many)
    assert 400 < sum(seed >= 2**62 for seed in many) < 600


def test_run_id_is_a_function_of_the_digests() -> None:
    one = provenance.run_id("a", "b")
    assert re.fullmatch("[0-9a-f]{12}", one)
    assert one == provenance.run_id("a", "b")
    assert len({one, provenance.run_id("b", "a"), provenance.run_id("ab")}) == 3
