"""Digests that change with every change of content."""

from pathlib import Path

import pytest

from ctai.records import Interval
from ctai.rundir import digest_of, digest_path, sha256_bytes, sha256_file, sha256_tree, write_text

pytestmark = pytest.mark.unit


def test_sha256_of_known_bytes(tmp_path: Path) -> None:
    """FIPS 180-2, appendix B.1."""
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == digest_path(tmp_path / "abc") == abc


def test_digest_of_ignores_the_order_of_keys_only() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": (1, 2), "a": 1})
    different = [
        {"a": 1, "b": [1, 2]},
        {"a": 1, "b": [2, 1]},
        {"a": "1", "b": [1, 2]},
        {"a": 1},
        ["a", 1],
        "a",
        1,
        None,
    ]
    assert len({digest_of(value) for value in different}) == len(different)


def test_digest_of_a_record_is_that_of_its_content() -> None:
    assert digest_of(Interval(low=0, high=1)) == digest_of({"high": 1.0, "low": 0.0})
    assert digest_of([{"deep": Interval(low=0, high=1)}]) == digest_of([{"deep": {"low": 0.0, "high": 1.0}}])
    with pytest.raises(TypeError, match="set has no JSON form"):
        digest_of({"a": {1}})


def test_tree_digest_sees_names_and_contents(tmp_path: Path) -> None:
    seen: set[str] = set()
    for name, content in [("a/x", "1"), ("a/x", "2"), ("b/x", "2"), ("b/y", "2")]:
        folder = tmp_path / str(len(seen))
        write_text(folder / name, content)
        seen.add(digest_path(folder))
    assert len(seen) == 4
    write_text(tmp_path / "again" / "a" / "x", "1")
    assert sha256_tree(tmp_path / "again") == sha256_tree(tmp_path / "0")
