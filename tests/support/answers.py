"""Scored answers of arms, written as strings of 0 and 1, and their comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from ctai.config import RunConfig
from ctai.evaluate.arms import BASE, BASE_FEW_SHOT, SFT
from ctai.evaluate.comparison import ArmAnswers, ArmIdentity, summarize_evaluation
from ctai.records import EvaluationItem, EvaluationSummary
from ctai.records.core import Split

ARM_DIGESTS = {BASE: "a" * 64, SFT: "b" * 64}
TYPES = {"f": "fact", "s": "safety", "m": "format", "w": "word"}
PROMPT_TOKENS = {BASE_FEW_SHOT: 60}
FAMILIES = 20


def answers(
    arm: str,
    content: str,
    *,
    strict: str | None = None,
    types: str = "",
    families: Sequence[str] = (),
    split: Split = "asked",
) -> list[EvaluationItem]:
    """One answer for each character: `1` is a success.

    Args:
        arm: name of the arm.
        content: success on content.
        strict: success by stopping too; by default no success for the base and that on content for SFT.
        types: a letter of `TYPES` for each item; by default all are facts.
        families: family of each item; by default twenty families with ten items in turn.
        split: part of the test set.
    """
    strict = strict if strict is not None else content if arm == SFT else "0" * len(content)
    stopped = ["1" if arm == SFT and strict[i] == content[i] else strict[i] for i in range(len(content))]
    return [
        EvaluationItem(
            arm=arm,
            item=i,
            family=families[i] if families else f"family {i // 10 % FAMILIES}",
            type=TYPES[types[i] if types else "f"],
            split=split,
            instruction=f"instruction {i}",
            prompt=f"prompt {i}",
            prompt_tokens=PROMPT_TOKENS.get(arm, 10),
            response="",
            raw="",
            finish_reason="eos" if stopped[i] == "1" else "length",
            content=content[i] == "1",
            strict=strict[i] == "1",
            stopped=stopped[i] == "1",
            failure_reason="" if strict[i] == "1" else "runs on" if content[i] == "1" else "wrong answer",
            tokens=1,
        )
        for i in range(len(content))
    ]


def summarize(
    base: Sequence[EvaluationItem],
    sft: Sequence[EvaluationItem],
    *,
    rivals: Mapping[str, Sequence[EvaluationItem]] | None = None,
    noise: Sequence[EvaluationItem] | None = None,
    logit_difference: float = 3.5,
    arms: Mapping[str, str] = ARM_DIGESTS,
    config: RunConfig | None = None,
    **update: Any,
) -> EvaluationSummary:
    """Compare the arms; by default the few-shot base answers as the base does."""
    few_shot = [item.model_copy(update={"arm": BASE_FEW_SHOT, "prompt_tokens": 60}) for item in base]
    return summarize_evaluation(
        ArmAnswers(
            base, sft, rivals if rivals is not None else {BASE_FEW_SHOT: few_shot}, base if noise is None else noise
        ),
        ArmIdentity(arms, logit_difference),
        **{"config": config or RunConfig(), "run_id": "run", **update},
    )


def compare_arms(
    base: str, sft: str, *, few_shot: str = "", types: str = "", copies: int = 40, **update: Any
) -> EvaluationSummary:
    """Compare arms whose answers repeat; `strict` is that of SFT."""
    strict = update.pop("strict", None)
    types = types * copies
    base_items = answers(BASE, base * copies, types=types)
    sft_items = answers(SFT, sft * copies, types=types, strict=None if strict is None else strict * copies)
    rivals = {BASE_FEW_SHOT: answers(BASE_FEW_SHOT, (few_shot or base) * copies, types=types)}
    return summarize(base_items, sft_items, rivals=rivals, **update)
