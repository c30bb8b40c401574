"""Files that survive crashes, damage that is named, and digests that see every change."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.errors import CtaiError
from ctai.records import HeldoutItem, Interval, Record
from ctai.rundir import (
    digest_of,
    digest_path,
    jsonable,
    read_jsonl,
    read_record,
    sha256_bytes,
    sha256_file,
    sha256_tree,
    write_json,
    write_jsonl,
    write_text,
)

pytestmark = pytest.mark.unit

ODD_TEXT = 'line\u2028separator\x85next\r\nquote " and \u00e9 \U0001f600'


def item(number: int, instruction: str = "Say hello.") -> HeldoutItem:
    return HeldoutItem(item=number, family="f", type="t", key="k", instruction=instruction)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


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
    seen = set()
    for name, content in [("a/x", "1"), ("a/x", "2"), ("b/x", "2"), ("b/y", "2")]:
        folder = tmp_path / str(len(seen))
        write_text(folder / name, content)
        seen.add(digest_path(folder))
    assert len(seen) == 4
    write_text(tmp_path / "again" / "a" / "x", "1")
    assert sha256_tree(tmp_path / "again") == sha256_tree(tmp_path / "0")


@given(st.lists(st.text(), max_size=5))
def test_jsonl_returns_what_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    records = [item(number, text) for number, text in enumerate([*texts, ODD_TEXT])]
    write_jsonl(path, records)
    assert read_jsonl(path, HeldoutItem) == records
    assert path.read_bytes().count(b"\n") == len(records)


def test_json_keeps_nan_and_infinity(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", Interval(low=math.nan, high=math.inf))
    interval = read_record(tmp_path / "a.json", Interval)
    assert math.isnan(interval.low)
    assert interval.high == math.inf
    assert jsonable({"a": (Interval(low=0, high=1), Path("x/y"))}) == {"a": [{"low": 0.0, "high": 1.0}, "x/y"]}


def test_a_write_that_fails_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_whoever_reads_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_stream_that_breaks_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [item(0)])

    def records() -> Iterator[Record]:
        yield item(1)
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        write_jsonl(path, records())
    assert read_jsonl(path, HeldoutItem) == [item(0)]
    assert names(tmp_path) == ["a.jsonl"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CtaiError, match=r"cannot write .*a\.txt: No space left on device$"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("damage", ["not json", '{"item": 1}', "", '{"schema_version":1,"item":1,"fam'])
def test_a_bad_line_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.jsonl"
    good = item(0).model_dump_json()
    path.write_text(f"{good}\n{damage}\n{good}\n")
    with pytest.raises(CtaiError, match=r"a\.jsonl line 2: \S"):
        read_jsonl(path, HeldoutItem)


def test_an_unknown_field_or_version_is_refused(tmp_path: Path) -> None:
    for change in ({"more": 1}, {"schema_version": 2}):
        (tmp_path / "a.json").write_text(json.dumps(item(0).model_dump() | change))
        with pytest.raises(CtaiError, match=rf"a\.json is not a HeldoutItem: {next(iter(change))}: "):
            read_record(tmp_path / "a.json", HeldoutItem)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for read in (read_record, read_jsonl):
        with pytest.raises(CtaiError, match=r"cannot read .*gone: No such file"):
            read(tmp_path / "gone", HeldoutItem)
