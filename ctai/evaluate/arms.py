"""The arms of the evaluation: each answers the same held-out items and is scored on its raw output.

Owns how an arm is run and resumed, and the check that two arms are two models. What the scores mean together
is `ctai.evaluate.comparison`.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.model.devices import compute_stack
from ctai.model.protocols import TextEngine
from ctai.prompts import STOP_STRINGS, CompletionStylePrompts, Pair
from ctai.provenance import StageContext, derive_seed
from ctai.records import Completion, EvaluationItem, HeldoutItem, ModelProvenance, Sampling
from ctai.rundir import Stage, digest_of, read_jsonl, write_jsonl
from ctai.tasks import plugins, registry
from ctai.tasks.seeds import few_shot_examples

BASE, SFT = "base", "sft"
BASE_FEW_SHOT, BASE_REPARTITIONED = "base_few_shot", "base_repartitioned"
RUNS_ON, CONTROL_TOKEN = "runs on", "chat-control token"


class ArmResult(NamedTuple):
    """What an arm answered, and whether all of it was there already."""

    items: list[EvaluationItem]
    reused: bool


class ArmModel(Protocol):
    """What is needed of a model here: a clean model has it, with an adapter or without."""

    @property
    def engine(self) -> TextEngine:
        """Generates."""
        ...

    @property
    def provenance(self) -> ModelProvenance:
        """Says which weights these are."""
        ...


@dataclass(frozen=True)
class Arm:
    """A way to ask: a prompt format, where to stop, and how the items are cut into batches.

    Attributes:
        name: of the arm; also a folder's name.
        batch_size: items a batch. Greedy output depends on it on real hardware, so arms that are compared
            share it.
        prompt: from instruction to prompt.
        stop: stop strings. None where the raw output counts: a model that runs on must be seen to do so.
    """

    name: str
    batch_size: int
    prompt: Callable[[str], str] = CompletionStylePrompts.zero_shot
    stop: tuple[str, ...] = ()

    def partition(self, items: Sequence[HeldoutItem]) -> Iterator[Sequence[HeldoutItem]]:
        """The batches."""
        for start in range(0, len(items), self.batch_size):
            yield items[start : start + self.batch_size]


def base_arm(config: RunConfig) -> Arm:
    """The base in the training prompt format."""
    return Arm(BASE, config.model.batch_size)


def sft_arm(config: RunConfig) -> Arm:
    """The base with its adapter, asked exactly as `base_arm`."""
    return Arm(SFT, config.model.batch_size)


def few_shot_arm(config: RunConfig, examples: Sequence[Pair]) -> Arm:
    """A baseline without training: worked examples before the instruction, and stop strings."""

    def prompt(instruction: str) -> str:
        return CompletionStylePrompts.response_prompt(instruction, examples)

    return Arm(BASE_FEW_SHOT, config.model.batch_size, prompt, STOP_STRINGS)


def repartitioned_arm(config: RunConfig) -> Arm:
    """The base once more in batches of another size: what differs from `base_arm` is numerical noise."""
    return Arm(BASE_REPARTITIONED, config.model.batch_size // 2 or 2)


def base_arms(config: RunConfig) -> tuple[Arm, ...]:
    """The arms of the base: zero-shot, with few-shot examples that the run's seed draws, and in other batches."""
    rng = random.Random(derive_seed(config.seed, "headroom", "few-shot"))
    examples = few_shot_examples(config.generation.few_shot_examples, rng)
    return base_arm(config), few_shot_arm(config, examples), repartitioned_arm(config)


def evaluate_arm(
    model: ArmModel, arm: Arm, items: Sequence[HeldoutItem], context: StageContext, folder: Path
) -> ArmResult:
    """Answer all items greedily and score the answers; finished batches and finished arms are reused.

    Args:
        model: the base, or the base with its adapter.
        arm: prompt format, stop strings and batches.
        items: the held-out set.
        context: of the run; `evaluation.max_new_tokens` is the budget of an answer.
        folder: where the arm's answers go; no other stage writes there.

    Raises:
        CtaiError: a prompt and its budget do not fit into the context length.
    """
    progress = context.progress
    sampling = Sampling(max_new_tokens=context.config.evaluation.max_new_tokens, stop=arm.stop)
    stage = _stage(model.provenance, arm, items, context, folder)
    path = folder / "items.jsonl"
    if stage.complete() is not None:
        return ArmResult(read_jsonl(path, EvaluationItem), reused=True)
    stage.begin()
    batches = stage.batches("answers")
    answers: list[EvaluationItem] = []
    splits_before = model.engine.batch_splits
    progress.start(f"evaluation of {arm.name}", len(items))
    for index, batch in enumerate(arm.partition(items)):
        finished = batches.get(index, EvaluationItem)
        if finished is None:
            finished = _answers(model, arm, batch, sampling)
            batches.put(index, finished)
        answers += finished
        progress.advance(len(batch))
    progress.finish()
    write_jsonl(path, answers)
    stage.finish([path], context.run_id, _split_notes(model.engine.batch_splits - splits_before))
    return ArmResult(answers, reused=False)


def next_token_logprobs(model: ArmModel, prompts: Sequence[str], vocabulary_size: int) -> NDArray[np.float64]:
    """Natural log-probabilities of all tokens after each prompt, [len(prompts), vocabulary_size]."""
    return model.engine.token_logprobs(prompts, range(vocabulary_size))


def arm_check(base: NDArray[np.float64], sft: NDArray[np.float64]) -> float:
    """The largest absolute difference between two arms' `next_token_logprobs` on the same prompts, in nats.

    0 means that both arms are one model: the adapter was not applied, or has learned nothing.

    Raises:
        CtaiError: when there is nothing to compare, or a value is not a number.
    """
    if base.shape != sft.shape or base.size == 0:
        raise CtaiError(f"the arms cannot be told apart: arrays of shape {base.shape} and {sft.shape}")
    changed = base != sft  # a probability may underflow to log 0 in both arms, which is no difference
    difference = float(np.max(np.abs(base[changed] - sft[changed]), initial=0.0))
    if not np.isfinite(difference):
        raise CtaiError("an arm's log-probabilities are not finite: its weights are broken")
    return difference


def _answers(model: ArmModel, arm: Arm, items: Sequence[HeldoutItem], sampling: Sampling) -> list[EvaluationItem]:
    prompts = [arm.prompt(item.instruction) for item in items]
    completions = model.engine.generate(prompts, sampling)
    control = frozenset(model.provenance.control_token_ids)
    return [_scored(arm, control, *answer) for answer in zip(items, prompts, completions, strict=True)]


def _scored(
    arm: Arm, control: frozenset[int], item: HeldoutItem, prompt: str, completion: Completion
) -> EvaluationItem:
    wrote_control = completion.token_ids[-1] in control  # the end of a turn, not of a text
    return scored(arm.name, item, prompt, completion, wrote_control)


def scored(arm: str, item: HeldoutItem, prompt: str, completion: Completion, wrote_control: bool) -> EvaluationItem:
    """One answer. It is judged on what the model wrote, up to a stop string of the arm; `response` is for people."""
    written = completion.text if completion.finish_reason == "stop" else completion.raw
    verdict = registry.score(item.instruction, written, completion.finish_reason)
    strict = verdict.strict and not wrote_control
    return EvaluationItem(
        arm=arm,
        item=item.item,
        family=item.family,
        type=item.type,
        instruction=item.instruction,
        prompt=prompt,
        response=CompletionStylePrompts.clean_response(written),
        raw=completion.raw,
        finish_reason=completion.finish_reason,
        content=verdict.content,
        strict=strict,
        failure_reason=verdict.reason or ("" if strict else CONTROL_TOKEN if wrote_control else RUNS_ON),
        tokens=len(completion.token_ids),
    )


def _stage(
    provenance: ModelProvenance, arm: Arm, items: Sequence[HeldoutItem], context: StageContext, folder: Path
) -> Stage:
    sampling = Sampling(max_new_tokens=context.config.evaluation.max_new_tokens, stop=arm.stop)
    # After a pre-emption the arms may find another GPU or other versions: then both answer there, the base too.
    stack = dict(compute_stack(provenance.device))
    parameters = {"sampling": sampling, "batch_size": arm.batch_size, "stack": stack, **plugins.parameters()}
    inputs = {
        **provenance.identity(),
        "adapter": provenance.adapter_digest or "none",
        "items": digest_of(list(items)),
        "prompts": digest_of([arm.prompt(item.instruction) for item in items]),
    }
    return context.stage(f"evaluation-{arm.name}", folder, parameters, inputs)


def _split_notes(splits: int) -> tuple[str, ...]:
    return (f"batches halved for want of memory: {splits}",) if splits else ()
