"""The benchmarks' own arithmetic, and that they run and agree with their peers on a tiny model; nothing here is timed."""

from pathlib import Path

import pytest
import torch

from benchmarks import generation, page, training
from benchmarks.__main__ import document
from benchmarks.common import PRODUCT, Arm, Output, Row, Subject, compare
from benchmarks.deep import write_deeper
from ctai.model.clean_model import CleanModel
from ctai.model.loader import CleanModelLoader

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
    assert rows["ctai, 8 rows at once"].note == "4 of 4 texts the same; 4 of 4 the same when sampled at temperature 0.7"
    assert rows["model.generate, one by one"].note == "1 of 1 texts the same"
    assert rows["model.generate, one padded batch"].note == "4 of 4 texts the same"
    assert rows["continuous batching of transformers"].note == "4 of 4 texts the same"


def test_training_runs_on_any_model(subject: Subject) -> None:
    assert by_arm(training.run(subject, steps=2, turns=1))[PRODUCT].rate


def test_the_table_of_the_page_is_replaced_and_the_text_stays(tmp_path: Path) -> None:
    measured = document([Row("critic", "tiny", "peer", "items/s", 12.5, 4.0, 3.5, 4.5, "all the same")], "cuda")
    written = tmp_path / "page.md"
    other = f"{page.BEGIN['cpu']}\nother\n{page.END}\n"
    written.write_text(f"before\n{other}{page.BEGIN['cuda']}\nold\n{page.END}\nafter\n", encoding="utf-8")
    page.update(written, measured)
    text = written.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{other}")
    assert text.endswith("\nafter\n")
    assert "| critic | tiny | peer | 12.5 items/s | 4.00x (3.50 to 4.50) | all the same |" in text
    assert "old" not in text
    written.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="has no markers"):
        page.update(written, measured)


def test_the_page_has_the_markers() -> None:
    text = (Path(page.__file__).parents[1] / "docs" / "performance.md").read_text(encoding="utf-8")
    for begin in page.BEGIN.values():
        assert text.index(page.END, text.index(begin))


def test_the_deeper_model_computes_the_same(tmp_path: Path) -> None:
    write_deeper(tmp_path, 2)
    deep, embedded = (
        CleanModelLoader(name, device="cpu").check(sentinels=False).model for name in (str(tmp_path), "embedded")
    )
    assert deep
    assert embedded
    assert deep.module.config.num_hidden_layers == 2 * embedded.module.config.num_hidden_layers
    ids = torch.tensor([embedded.engine.encode("The capital of France is")])
    with torch.inference_mode():
        assert torch.allclose(deep.module(ids).logits, embedded.module(ids).logits, atol=1e-5)


def by_arm(rows: list[Row]) -> dict[str, Row]:
    """The rows by their arm."""
    return {row.arm: row for row in rows}
