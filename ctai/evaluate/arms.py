"""Arms of the evaluation: each answers the same held-out items and is scored on its raw output.

Owns the run and resumption of an arm, and the check that two arms are two models. Does not own the comparison of scores
(`ctai.evaluate.comparison`).
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
from ctai.records import ClusteredRate, Completion, EvaluationItem, HeldoutItem, ModelProvenance, Sampling
from ctai.registry import RIVALS
from ctai.rundir import Stage, digest_of, read_jsonl, write_jsonl
from ctai.statistics import clustered_rate
from ctai.tasks import plugins, registry
from ctai.tasks.seeds import few_shot_examples, restyled_examples

BASE_RAW, BASE, BASE_FEW_SHOT, BASE_RESTYLED = RIVALS
SFT, BASE_REPARTITIONED, REFERENCE = "sft", "base_repartitioned", "reference"
ARM_CHECK_PROMPTS = 8
RUNS_ON, CONTROL_TOKEN = "runs on", "chat-control token"


class ArmResult(NamedTuple):
    """Answers of an arm, and whether a complete arm was reused."""

    items: list[EvaluationItem]
    reused: bool


class SentPrompt(NamedTuple):
    """A prompt as sent, and its number of tokens."""

    text: str
    tokens: int


class ArmModel(Protocol):
    """A model that an arm asks: a clean model, with or without an adapter."""

    @property
    def engine(self) -> TextEngine:
        """Inference engine."""
        ...

    @property
    def provenance(self) -> ModelProvenance:
        """Identity of the weights."""
        ...


@dataclass(frozen=True)
class Arm:
    """Prompt format, stop strings and batch size of an arm.

    Attributes:
        name: of the arm; also the name of its folder.
        batch_size: items per batch. Greedy output depends on it on real hardware, so compared arms share it.
        prompt: function from instruction to prompt.
        stop: stop strings; empty where the raw output counts, so that a model that does not stop is detected.
    """

    name: str
    batch_size: int
    prompt: Callable[[str], str] = CompletionStylePrompts.zero_shot
    stop: tuple[str, ...] = ()

    def sampling(self, config: RunConfig) -> Sampling:
        """Return greedy sampling with the token budget of an answer and the stop strings of the arm."""
        return Sampling(max_new_tokens=config.headroom.max_new_tokens, stop=self.stop)

    def partition(self, items: Sequence[HeldoutItem]) -> Iterator[Sequence[HeldoutItem]]:
        """Yield the items in batches."""
        for start in range(0, len(items), self.batch_size):
            yield items[start : start + self.batch_size]


def base_arm(config: RunConfig) -> Arm:
    """Return the arm of the base in the training prompt format."""
    return Arm(BASE, config.model.batch_size)


def raw_arm(config: RunConfig) -> Arm:
    """Return the arm of the base that gets the bare instruction; the scorers cut its answers as those of `base_arm`."""
    return Arm(BASE_RAW, config.model.batch_size, CompletionStylePrompts.raw)


def sft_arm(config: RunConfig) -> Arm:
    """Return the arm of the base with its adapter, with prompts and batches of `base_arm`."""
    return Arm(SFT, config.model.batch_size)


def few_shot_arm(config: RunConfig, examples: Sequence[Pair]) -> Arm:
    """Return the few-shot baseline: few-shot examples before the instruction, and stop strings."""

    def prompt(instruction: str) -> str:
        return CompletionStylePrompts.response_prompt(instruction, examples)

    return Arm(BASE_FEW_SHOT, config.model.batch_size, prompt, STOP_STRINGS)


def restyled_arm(config: RunConfig) -> Arm:
    """Return the baseline with a constant preamble and examples in the target style, and stop strings."""
    examples = restyled_examples()

    def prompt(instruction: str) -> str:
        return CompletionStylePrompts.restyled_prompt(instruction, examples)

    return Arm(BASE_RESTYLED, config.model.batch_size, prompt, STOP_STRINGS)


def repartitioned_arm(config: RunConfig) -> Arm:
    """Return the base arm with another batch size: differences from `base_arm` are numerical noise."""
    return Arm(BASE_REPARTITIONED, config.model.batch_size // 2 or 2)


def reference_arm(config: RunConfig) -> Arm:
    """Return the arm of the reference model, with the prompts of `base_arm` and stop strings."""
    return Arm(REFERENCE, config.model.batch_size, stop=STOP_STRINGS)


def base_arms(config: RunConfig) -> tuple[Arm, ...]:
    """Return the arms of the base: the rivals, few-shot with examples drawn by the seed of the run, and repartitioned."""
    rng = random.Random(derive_seed(config.seed, "headroom", "few-shot"))
    examples = few_shot_examples(config.generation.few_shot_examples, rng)
    rivals = (raw_arm(config), base_arm(config), few_shot_arm(config, examples), restyled_arm(config))
    assert tuple(arm.name for arm in rivals) == RIVALS
    return *rivals, repartitioned_arm(config)


def evaluate_arm(
    model: ArmModel, arm: Arm, items: Sequence[HeldoutItem], context: StageContext, folder: Path
) -> ArmResult:
    """Answer all items greedily and score the answers; finished batches and arms are reused.

    Args:
        model: the base, or the base with its adapter.
        arm: prompt format, stop strings and batches.
        items: the held-out set.
        context: of the run; `headroom.max_new_tokens` is the token budget of an answer.
        folder: destination of the answers; no other stage writes there.

    Raises:
        CtaiError: a prompt with its token budget exceeds the context length.
    """
    progress = context.progress
    sampling = arm.sampling(context.config)
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
            finished = _answer(model, arm, batch, sampling)
            batches.put(index, finished)
        answers += finished
        progress.advance(len(batch))
    progress.finish()
    write_jsonl(path, answers)
    stage.finish([path], context.run_id, _split_notes(model.engine.batch_splits - splits_before))
    return ArmResult(answers, reused=False)


def content_rate(items: Sequence[EvaluationItem], correlation: float) -> ClusteredRate:
    """Return the rate of correct answers to the items of the asked families, its interval clustered by family.

    Args:
        items: answers of an arm.
        correlation: preregistered intra-class correlation, `heldout.intraclass_correlation`.
    """
    asked = [item for item in items if item.split == "asked"]
    return clustered_rate([item.content for item in asked], [item.family for item in asked], correlation)


def next_token_logprobs(model: ArmModel, prompts: Sequence[str], vocabulary_size: int) -> NDArray[np.float64]:
    """Return natural log-probabilities of all next tokens, [len(prompts), vocabulary_size]."""
    return model.engine.token_logprobs(prompts, range(vocabulary_size))


def arm_check_inputs(provenance: ModelProvenance, prompts: Sequence[str]) -> dict[str, str]:
    """Return the stage inputs of the check of two arms: base, adapter and the prompts of the first held-out items."""
    return {
        **provenance.identity(),
        "adapter": provenance.adapter_digest or "none",
        "prompts": digest_of(list(prompts)),
    }


def arm_check(base: NDArray[np.float64], sft: NDArray[np.float64]) -> float:
    """Return the maximum absolute difference of two arms' next-token log-probabilities, in nats.

    0 means that both arms are one model: the adapter was not applied, or has learned nothing.

    Args:
        base: `next_token_logprobs` of the base, [prompts, vocabulary].
        sft: of the adapted model on the same prompts.

    Raises:
        CtaiError: the shapes differ, the arrays are empty, or a difference is not finite.
    """
    if base.shape != sft.shape or base.size == 0:
        raise CtaiError(f"the arms cannot be compared: arrays of shape {base.shape} and {sft.shape}")
    changed = base != sft  # a probability may underflow to log 0 in both arms, which is no difference
    difference = float(np.max(np.abs(base[changed] - sft[changed]), initial=0.0))
    if not np.isfinite(difference):
        raise CtaiError("an arm's log-probabilities are not finite: its weights are broken")
    return difference


def _answer(model: ArmModel, arm: Arm, items: Sequence[HeldoutItem], sampling: Sampling) -> list[EvaluationItem]:
    prompts = [arm.prompt(item.instruction) for item in items]
    completions = model.engine.generate(prompts, sampling)
    counts = model.engine.count_prompt_tokens(prompts)
    control = frozenset(model.provenance.control_token_ids)
    sent = (SentPrompt(prompt, count) for prompt, count in zip(prompts, counts, strict=True))
    return [_score(arm, control, *answer) for answer in zip(items, sent, completions, strict=True)]


def _score(
    arm: Arm, control: frozenset[int], item: HeldoutItem, sent: SentPrompt, completion: Completion
) -> EvaluationItem:
    wrote_control = completion.token_ids[-1] in control  # the end of a turn, not of a text
    return score_answer(arm.name, item, sent, completion, wrote_control)


def score_answer(
    arm: str, item: HeldoutItem, sent: SentPrompt, completion: Completion, wrote_control: bool
) -> EvaluationItem:
    """Score an answer on the raw output up to a stop string of the arm; `response` is for human readers only.

    Args:
        arm: name of the arm.
        item: the held-out item.
        sent: the prompt that was sent.
        completion: output of the model.
        wrote_control: the last token is a chat-control token; the answer is then no strict success.
    """
    output = completion.text if completion.finish_reason == "stop" else completion.raw
    score = registry.score(item.instruction, output, completion.finish_reason)
    strict = score.strict and not wrote_control
    return EvaluationItem(
        arm=arm,
        item=item.item,
        family=item.family,
        type=item.type,
        split=item.split,
        instruction=item.instruction,
        prompt=sent.text,
        response=CompletionStylePrompts.clean_response(output),
        raw=completion.raw,
        finish_reason=completion.finish_reason,
        content=score.content,
        strict=strict,
        stopped=completion.finish_reason == "eos" and not wrote_control,
        failure_reason=score.reason or ("" if strict else CONTROL_TOKEN if wrote_control else RUNS_ON),
        tokens=len(completion.token_ids),
        prompt_tokens=sent.tokens,
    )


def _stage(
    provenance: ModelProvenance, arm: Arm, items: Sequence[HeldoutItem], context: StageContext, folder: Path
) -> Stage:
    # After a preemption the GPU or library versions may differ: then both arms answer again there, the base too.
    stack = dict(compute_stack(provenance.device))
    parameters = {
        "sampling": arm.sampling(context.config),
        "batch_size": arm.batch_size,
        "stack": stack,
        **plugins.parameters(),
    }
    inputs = {
        **provenance.identity(),
        "adapter": provenance.adapter_digest or "none",
        "items": digest_of(list(items)),
        "prompts": digest_of([arm.prompt(item.instruction) for item in items]),
    }
    return context.stage(f"evaluation-{arm.name}", folder, parameters, inputs)


def _split_notes(splits: int) -> tuple[str, ...]:
    return (f"batches halved after running out of memory: {splits}",) if splits else ()
