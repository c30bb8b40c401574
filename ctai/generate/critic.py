"""The critic: single-token A/B judgements of instructions and pairs by next-token log-probabilities.

Owns the labels' scoring and the critic's calibration on labelled probes. The rubrics are `ctai.prompts`', the worked
examples and probes are `ctai.tasks`'. Nothing is sampled.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ctai.errors import CtaiError
from ctai.model.engine import TextEngine
from ctai.prompts import LABEL_BAD, LABEL_GOOD, CompletionStylePrompts, LabelledInstruction, LabelledPair, Pair
from ctai.records import CriticCalibration, Critique
from ctai.statistics import auroc, balanced_accuracy, rate
from ctai.tasks.probes import InstructionProbe, PairProbe
from ctai.tasks.seeds import instruction_critic_examples, pair_critic_examples

__all__ = ["CriticCalibration", "InstructionCritic", "calibrate"]

# Inputs with nothing to judge (Zhao et al. 2021, "Calibrate before use"): what the critic says then is its bias.
CONTENT_FREE = ("N/A", "[MASK]", "...")

Probes = Sequence[InstructionProbe | PairProbe]


class _Labels(NamedTuple):
    """Token ids of the spellings of both labels: of A first, then of B."""

    ids: tuple[int, ...]
    good: int


class InstructionCritic:
    """Judges instructions, and pairs of instruction and response.

    Args:
        engine: the model that judges.
        margin: least |logp_a - logp_b| of a confident judgement.
        instruction_examples: worked examples of the instruction critic; by default those of `ctai.tasks.seeds`.
        pair_examples: worked examples of the pair critic; likewise.

    Raises:
        CtaiError: a label has no spelling that is a single token of this model.
    """

    def __init__(
        self,
        engine: TextEngine,
        margin: float = 1.0,
        instruction_examples: Sequence[LabelledInstruction] | None = None,
        pair_examples: Sequence[LabelledPair] | None = None,
    ) -> None:
        self._engine = engine
        self._margin = margin
        self._instruction_examples = tuple(
            instruction_critic_examples() if instruction_examples is None else instruction_examples
        )
        self._pair_examples = tuple(pair_critic_examples() if pair_examples is None else pair_examples)
        good, bad = _spellings(engine, LABEL_GOOD), _spellings(engine, LABEL_BAD)
        self._labels = _Labels((*good, *bad), len(good))

    def judge_instructions(self, instructions: Sequence[str]) -> list[Critique]:
        """Judge whether each instruction is clear, specific, possible and safe.

        Raises:
            CtaiError: an instruction does not fit into the context.
        """
        return self._judge([self.instruction_prompt(text) for text in instructions])

    def judge_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Critique]:
        """Judge whether each response does what its instruction asks, correctly and in the right form.

        Raises:
            CtaiError: a pair does not fit into the context.
        """
        return self._judge([self.pair_prompt(*pair) for pair in pairs])

    def instruction_prompt(self, instruction: str) -> str:
        """The prompt whose next token is the label of an instruction."""
        return CompletionStylePrompts.instruction_critic(instruction, self._instruction_examples)

    def pair_prompt(self, instruction: str, response: str) -> str:
        """The prompt whose next token is the label of a pair."""
        return CompletionStylePrompts.pair_critic(instruction, response, self._pair_examples)

    def coverage(self, critiques: Sequence[Critique]) -> list[float]:
        """P(A) + P(B) of each judgement: how much the model means to give a label at all."""
        return [math.exp(critique.logp_a) + math.exp(critique.logp_b) for critique in critiques]

    def with_reversed_examples(self) -> "InstructionCritic":
        """The same critic with its worked examples in reverse order."""
        return InstructionCritic(
            self._engine, self._margin, self._instruction_examples[::-1], self._pair_examples[::-1]
        )

    def _judge(self, prompts: Sequence[str]) -> list[Critique]:
        if not prompts:
            return []
        logprobs = self._engine.token_logprobs(prompts, self._labels.ids)
        good = _logsumexp(logprobs[:, : self._labels.good])
        bad = _logsumexp(logprobs[:, self._labels.good :])
        return [_critique(a, b, self._margin) for a, b in zip(good.tolist(), bad.tolist(), strict=True)]


def _spellings(engine: TextEngine, label: str) -> list[int]:
    """Token ids of a label with and without a leading space; a spelling of several tokens is left out."""
    encoded = [engine.encode(spelling) for spelling in (f" {label}", label)]
    single = list(dict.fromkeys(ids[0] for ids in encoded if len(ids) == 1))
    if not single:
        raise CtaiError(f"this model cannot judge: the label {label!r} is not a single token of its tokenizer")
    return single


def _logsumexp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the summed probability of the columns; -inf where all are, nan where any is."""
    highest = values.max(axis=1)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        total: NDArray[np.float64] = shift + np.log(np.exp(values - shift[:, None]).sum(axis=1))
    return total


def _critique(logp_a: float, logp_b: float, margin: float) -> Critique:
    """A judgement; one that is not a number, and so compares with nothing, is neither good nor confident."""
    difference = logp_a - logp_b
    is_good = difference > 0
    return Critique(
        is_good=is_good,
        predicted_label=cast(Literal["A", "B"], LABEL_GOOD if is_good else LABEL_BAD),
        logp_a=logp_a,
        logp_b=logp_b,
        margin=abs(difference),
        confident=abs(difference) >= margin,
    )


# ----------------------------------------------------------------------------------------------------- calibration


def calibrate(critic: InstructionCritic, probes: Probes) -> CriticCalibration:
    """Hold the critic against labelled probes, all of one kind.

    Raises:
        ValueError: there are no probes.
    """
    if not probes:
        raise ValueError("no probes to calibrate the critic on")
    kind: Literal["instructions", "pairs"] = "pairs" if isinstance(probes[0], PairProbe) else "instructions"
    truth = [probe.label == LABEL_GOOD for probe in probes]
    critiques, swapped = _judge_probes(critic, probes), _judge_probes(critic.with_reversed_examples(), probes)
    accuracy = balanced_accuracy(truth, [critique.is_good for critique in critiques])
    area = auroc(truth, [critique.logp_a - critique.logp_b for critique in critiques])
    coverage = critic.coverage(critiques)
    agreed = sum(one.is_good == other.is_good for one, other in zip(critiques, swapped, strict=True))
    return CriticCalibration(
        kind=kind,
        n=len(probes),
        balanced_accuracy=accuracy.value,
        balanced_accuracy_interval=accuracy.interval,
        auroc=area.value,
        auroc_interval=area.interval,
        coverage_mean=float(np.mean(coverage)),
        coverage_minimum=float(np.min(coverage)),
        label_bias=_label_bias(critic, kind),
        swap_agreement=rate(agreed, len(probes)),
        acceptance={
            name: rate(sum(c.accepted for c in judged), len(judged))
            for name, judged in _by_kind(probes, critiques).items()
        },
    )


def _judge_probes(critic: InstructionCritic, probes: Probes) -> list[Critique]:
    pairs = [Pair(probe.instruction, probe.response) for probe in probes if isinstance(probe, PairProbe)]
    return critic.judge_pairs(pairs) if pairs else critic.judge_instructions([probe.instruction for probe in probes])


def _by_kind(probes: Probes, critiques: Sequence[Critique]) -> dict[str, list[Critique]]:
    """The judgements of good probes, and of each kind of bad ones."""
    kinds = sorted({probe.kind for probe in probes}, key=lambda kind: (kind != "good", kind))
    return {
        kind: [critique for probe, critique in zip(probes, critiques, strict=True) if probe.kind == kind]
        for kind in kinds
    }


def _label_bias(critic: InstructionCritic, kind: Literal["instructions", "pairs"]) -> float:
    """The mean share of A, of A and B together, over inputs with nothing to judge."""
    if kind == "pairs":
        critiques = critic.judge_pairs([(text, text) for text in CONTENT_FREE])
    else:
        critiques = critic.judge_instructions(CONTENT_FREE)
    return float(np.mean([1 / (1 + math.exp(min(c.logp_b - c.logp_a, 700.0))) for c in critiques]))
