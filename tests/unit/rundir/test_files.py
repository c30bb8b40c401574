"""Atomic writing, and reading that names damaged lines and records."""

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
    jsonable,
    read_jsonl,
    read_record,
    write_json,
    write_jsonl,
    write_text,
)
from tests.support.files import file_names, heldout_item

pytestmark = pytest.mark.unit

ODD_TEXT = 'line\u2028separator\x85next\r\nquote " and \u00e9 \U0001f600'


@given(st.lists(st.text(), max_size=5))
def test_jsonl_returns_what_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    records = [heldout_item(number, text) for number, text in enumerate([*texts, ODD_TEXT])]
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
    assert file_names(tmp_path) == ["a.txt"]


def test_whoever_reads_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_stream_that_breaks_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [heldout_item(0)])

    def records() -> Iterator[Record]:
        yield heldout_item(1)
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        write_jsonl(path, records())
    assert read_jsonl(path, HeldoutItem) == [heldout_item(0)]
    assert file_names(tmp_path) == ["a.jsonl"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CtaiError, match=r"cannot write .*a\.txt: No space left on device$"):
        write_text(tmp_path / "a.txt", "x")
    assert file_names(tmp_path) == []


@pytest.mark.parametrize("damage", ["not json", '{"item": 1}', "", '{"schema_version":3,"item":1,"fam'])
def test_a_bad_line_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.jsonl"
    good = heldout_item(0).model_dump_json()
    path.write_text(f"{good}\n{damage}\n{good}\n")
    with pytest.raises(CtaiError, match=r"a\.jsonl line 2: \S"):
        read_jsonl(path, HeldoutItem)


def test_an_unknown_field_or_version_is_refused(tmp_path: Path) -> None:
    for change in ({"more": 1}, {"schema_version": 1}):
        (tmp_path / "a.json").write_text(json.dumps(heldout_item(0).model_dump() | change))
        with pytest.raises(CtaiError, match=rf"a\.json is not a HeldoutItem: {next(iter(change))}: "):
            read_record(tmp_path / "a.json", HeldoutItem)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for read in (read_record, read_jsonl):
        with pytest.raises(CtaiError, match=r"cannot read .*gone: No such file"):
            read(tmp_path / "gone", HeldoutItem)
