"""Ledger of comparisons on test sets: its place, its lock, and damage that must not count as an empty ledger."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from ctai.errors import CtaiError
from ctai.evaluate import ledger as ledger_module
from ctai.evaluate.ledger import ComparisonLedger
from tests.unit.evaluate.test_attempts import identity

pytestmark = pytest.mark.unit


@pytest.fixture
def ledger(tmp_path: Path) -> ComparisonLedger:
    return ComparisonLedger(tmp_path / "state" / "comparisons.jsonl", "CTAI_LEDGER")


def test_the_variable_names_the_ledger(monkeypatch, tmp_path):
    monkeypatch.setenv("CTAI_LEDGER", str(tmp_path / "mine.jsonl"))
    assert ComparisonLedger.locate() == ComparisonLedger(tmp_path / "mine.jsonl", "CTAI_LEDGER")


@pytest.mark.parametrize("variable", ["", " "])
def test_the_default_is_in_the_state_folder_of_the_user(monkeypatch, tmp_path, variable):
    monkeypatch.setenv("CTAI_LEDGER", variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    default = tmp_path / ".local" / "state" / "ctai" / "test_set_comparisons.jsonl"
    assert ComparisonLedger.locate() == ComparisonLedger(default, "default")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # ignored, as the specification says
    assert ComparisonLedger.locate().path == default
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert ComparisonLedger.locate().path == tmp_path / "state" / "ctai" / "test_set_comparisons.jsonl"


def test_what_is_written_is_read(ledger):
    comparisons = [identity("a").numbered(1), identity("b").numbered(2)]
    with ledger.lock():
        assert ledger.read() == []
        ledger.write(comparisons)
    assert ledger.read() == comparisons


def test_a_link_stays_a_link(ledger, tmp_path):
    target = tmp_path / "elsewhere.jsonl"
    target.touch()
    ledger.path.parent.mkdir()
    ledger.path.symlink_to(target)
    ledger.write([identity("a").numbered(1)])
    assert ledger.path.is_symlink()
    assert ComparisonLedger(target, "default").read() == [identity("a").numbered(1)]


@pytest.mark.parametrize("damage", ["{}\n", "not json\n", '{"number": 1}\n', "\0\0\0\n"])
def test_a_damaged_ledger_is_no_empty_ledger(ledger, damage):
    ledger.path.parent.mkdir()
    ledger.path.write_text(damage)
    with pytest.raises(CtaiError, match=r"number of earlier comparisons is not known .*line 1.* Restore the file"):
        ledger.check()
    assert ledger.path.read_text() == damage


def test_a_ledger_that_cannot_be_a_file_is_refused(ledger):
    ledger.path.mkdir(parents=True)
    with pytest.raises(CtaiError, match="is not readable"):
        ledger.check()
    below_a_file = ComparisonLedger(Path(os.devnull) / "comparisons.jsonl", "CTAI_LEDGER")
    with pytest.raises(CtaiError, match=r"cannot be written \(set CTAI_LEDGER to a file in a writeable folder"):
        below_a_file.check()


def test_a_ledger_that_another_run_holds_is_waited_for_and_then_refused(ledger, monkeypatch):
    monkeypatch.setattr(ledger_module, "_LOCK_SECONDS", 0.01)
    ledger.path.parent.mkdir()
    with (
        FileLock(ledger.path.with_name(f"{ledger.path.name}.lock")),
        pytest.raises(CtaiError, match="cannot be locked within"),
    ):
        ledger.check()
