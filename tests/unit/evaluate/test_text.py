"""Files of a comparison and its text."""

import pytest

from ctai.evaluate.arms import BASE, BASE_FEW_SHOT, SFT
from ctai.evaluate.text import OUTPUTS, summary_text, write_evaluation
from ctai.records import EvaluationItem, EvaluationSummary
from ctai.rundir import read_jsonl, read_record
from tests.support.answers import answers, compare_arms, summarize

pytestmark = pytest.mark.unit


def test_files_and_text(tmp_path):
    base, sft = answers(BASE, "1000000000" * 40), answers(SFT, "1111111110" * 40)
    summary = summarize(base, sft, metadata={"heldout": "digest"})
    paths = write_evaluation(base, sft, summary, tmp_path / "retry")
    assert {path.parent for path in paths} == {tmp_path / "retry"}
    assert tuple(path.name for path in paths) == OUTPUTS
    assert read_jsonl(paths[0], EvaluationItem) == base
    assert read_jsonl(paths[1], EvaluationItem) == sft
    assert read_record(paths[2], EvaluationSummary) == summary
    assert summary.metadata["heldout"] == "digest"
    lines = paths[3].read_text().splitlines()
    assert lines[0].startswith("GO: SFT is superior to the base in the training format")
    content = next(line for line in lines if line.startswith("content"))
    assert content.split()[:2] == ["content", "400"]
    assert "+0.800" in content


def test_no_go_is_said_first_with_its_reasons():
    lines = summary_text(compare_arms("1111111000", "1000000000")).splitlines()
    assert lines[0].startswith("NO GO: SFT is inferior to")
    assert lines[1].startswith("  - content_lift -0.6 ")


def test_every_rival_and_the_missing_transfer_are_named():
    text = summary_text(compare_arms("1000000000", "1111111110", few_shot="1111111110"))
    assert "SFT is non-inferior to the few-shot base" in text
    assert "SFT is superior to the base in the training format" in text
    assert "Transfer to families held out whole: not applicable, the test set has none." in text


def test_transfer_is_reported_apart():
    base = answers(BASE, "1000000000" * 20) + _unseen(BASE, "10" * 40)
    sft = answers(SFT, "1111111110" * 20) + _unseen(SFT, "11" * 40)
    few_shot = answers(BASE_FEW_SHOT, "1000000000" * 20) + _unseen(BASE_FEW_SHOT, "11" * 40)
    summary = summarize(base, sft, rivals={BASE_FEW_SHOT: few_shot})
    assert summary.overall.n == 200
    assert summary.transfer[BASE].comparison.n == 80
    assert summary.transfer[BASE].comparison.lift == pytest.approx(0.5)
    assert summary.transfer[BASE_FEW_SHOT].claim in ("non-inferior", "undecided")
    assert "Transfer to families held out whole: SFT is superior to the base in the training format" in summary_text(
        summary
    )


def test_a_loss_on_unseen_families_changes_no_decision():
    base = answers(BASE, "1000000000" * 20) + _unseen(BASE, "1" * 80)
    sft = answers(SFT, "1111111110" * 20) + _unseen(SFT, "0" * 80)
    summary = summarize(base, sft)
    assert summary.transfer[BASE].claim == "inferior"
    assert summary.go


def _unseen(arm: str, content: str) -> list[EvaluationItem]:
    """Answers to items of families held out whole, numbered after 200 others."""
    items = answers(arm, content, split="unseen", families=[f"unseen {i // 10 % 8}" for i in range(len(content))])
    return [
        item.model_copy(
            update={
                "item": 200 + item.item,
                "instruction": f"unseen {item.item}",
                "prompt": f"unseen prompt {item.item}",
            }
        )
        for item in items
    ]
