"""The benchmarks' own arithmetic, and that they run and agree with their peers on a tiny model; nothing here is timed."""

import pytest

from benchmarks import generation, training
from benchmarks.common import PRODUCT, Arm, Output, Row, Subject, compare
from ctai.model.loader import CleanModel

pytestmark = pytest.mark.unit


@pytest.fixture
def subject(tiny_model: CleanModel) -> Subject:
    """The tiny model; the limits of the machine are of no interest here."""
    return Subject("tiny", tiny_model, small=True, limits={"gflops": 1.0, "gb_per_second": 1.0})


def test_arms_take_turns_and_a_peer_that_fails_says_why(subject: Subject) -> None:
    seen: list[str] = []

    def arm(name: str) -> Output:
        seen.append(name)
        return Output(6, name, scale=2)

    def missing() -> None:
        raise ModuleNotFoundError("No module named 'peer'")

    peers = [
        Arm("peer", lambda: arm("peer"), lambda ours, theirs: f"{ours} and {theirs}"),
        Arm("other", lambda: arm("other"), prepare=missing),
    ]
    rows = compare("b", subject, "items/s", lambda: arm("ours"), peers, turns=3)
    assert seen == ["ours"] + ["ours", "peer"] * 3
    ours, peer, other = rows
    assert (ours.arm, ours.ratio) == (PRODUCT, None)
    assert peer.note == "ours and peer"
    assert None not in (peer.rate, peer.ratio, peer.ratio_low, peer.ratio_high)
    assert other.rate is None
    assert other.note == "not measured: ModuleNotFoundError: No module named 'peer'"


def test_generation_peers_write_the_same_texts(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    short = ["The capital of France is", "x", "1. First.\n2.", "Label: A\nLabel:"]
    monkeypatch.setattr(generation, "prompts", lambda _subject, count: short[:count])
    rows = by_arm(generation.run(subject, items=4, turns=1))
    assert rows["model.generate, one by one"].note == "1 of 1 texts the same"
    assert rows["model.generate, one padded batch"].note == "4 of 4 texts the same"
    assert rows["continuous batching of transformers"].note == "4 of 4 texts the same"


def test_training_runs_on_any_model(subject: Subject) -> None:
    assert by_arm(training.run(subject, steps=2, turns=1))[PRODUCT].rate


def by_arm(rows: list[Row]) -> dict[str, Row]:
    """The rows by their arm."""
    return {row.arm: row for row in rows}
