"""Critic of instructions and pairs: single-token A/B judgements by next-token log-probabilities.

Owns the scoring of the labels; nothing is sampled. Does not own the rubrics (`ctai.prompts`), the few-shot examples
(`ctai.tasks`) or the measurement of its accuracy (`ctai.generate.critic_calibration`).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ctai.errors import CtaiError
from ctai.model.protocols import TextEngine
from ctai.prompts import LABEL_BAD, LABEL_GOOD, CompletionStylePrompts, LabelledInstruction, LabelledPair
from ctai.records import Critique
from ctai.tasks.seeds import instruction_critic_examples, pair_critic_examples

__all__ = ["InstructionCritic"]


class _Labels(NamedTuple):
    """Token ids of the spellings of both labels: those of A, then those of B.

    Attributes:
        ids: of both labels.
        first: number of ids that belong to A.
    """

    ids: tuple[int, ...]
    first: int


class InstructionCritic:
    """Judge of instructions, and of pairs of instruction and response.

    Args:
        engine: the model that judges.
        margin: minimum |logp_a - logp_b| of a confident judgement, in nats.
        instruction_examples: few-shot examples of the instruction critic; by default those of `ctai.tasks.seeds`.
        pair_examples: few-shot examples of the pair critic; likewise.
        swapped: exchange the meaning of the letters in rubric and examples; for calibration only.

    Raises:
        CtaiError: a label has no spelling that is a single token of this model.
    """

    def __init__(
        self,
        engine: TextEngine,
        margin: float = 1.0,
        instruction_examples: Sequence[LabelledInstruction] | None = None,
        pair_examples: Sequence[LabelledPair] | None = None,
        swapped: bool = False,
    ) -> None:
        self._engine = engine
        self._swapped = swapped
        self._margin = margin
        self._instruction_examples = tuple(
            instruction_critic_examples() if instruction_examples is None else instruction_examples
        )
        self._pair_examples = tuple(pair_critic_examples() if pair_examples is None else pair_examples)
        good, bad = _spellings(engine, LABEL_GOOD), _spellings(engine, LABEL_BAD)
        self._labels = _Labels((*good, *bad), len(good))

    def judge_instructions(self, instructions: Sequence[str]) -> list[Critique]:
        """Judge whether each instruction is clear, specific, possible and safe.

        Returns:
            One critique per instruction, in order.

        Raises:
            CtaiError: an instruction does not fit into the context.
        """
        return self._judge([self.instruction_prompt(text) for text in instructions])

    def judge_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Critique]:
        """Judge whether each response fulfils its instruction, correctly and in the right form.

        Args:
            pairs: instruction and response.

        Returns:
            One critique per pair, in order.

        Raises:
            CtaiError: a pair does not fit into the context.
        """
        return self._judge([self.pair_prompt(*pair) for pair in pairs])

    def instruction_prompt(self, instruction: str) -> str:
        """Return the prompt whose next token is the label of an instruction."""
        return CompletionStylePrompts.instruction_critic(instruction, self._instruction_examples, self._swapped)

    def pair_prompt(self, instruction: str, response: str) -> str:
        """Return the prompt whose next token is the label of a pair."""
        return CompletionStylePrompts.pair_critic(instruction, response, self._pair_examples, self._swapped)

    def with_reversed_examples(self) -> "InstructionCritic":
        """Return this critic with its few-shot examples in reverse order."""
        reverse = (self._instruction_examples[::-1], self._pair_examples[::-1])
        return InstructionCritic(self._engine, self._margin, *reverse, self._swapped)

    def with_swapped_meaning(self) -> "InstructionCritic":
        """Return this critic with the letters exchanged: A for bad, B for good."""
        examples = (self._instruction_examples, self._pair_examples)
        return InstructionCritic(self._engine, self._margin, *examples, not self._swapped)

    def _judge(self, prompts: Sequence[str]) -> list[Critique]:
        if not prompts:
            return []
        logprobs = self._engine.token_logprobs(prompts, self._labels.ids)
        logp_a = _logsumexp(logprobs[:, : self._labels.first])
        logp_b = _logsumexp(logprobs[:, self._labels.first :])
        scores = zip(logp_a.tolist(), logp_b.tolist(), strict=True)
        return [critique_of(a, b, self._margin, self._swapped) for a, b in scores]


def _spellings(engine: TextEngine, label: str) -> list[int]:
    """Return the token ids of a label with and without a leading space; spellings of several tokens are left out."""
    encoded = [engine.encode(spelling) for spelling in (f" {label}", label)]
    single = list(dict.fromkeys(ids[0] for ids in encoded if len(ids) == 1))
    if not single:
        raise CtaiError(f"this model cannot judge: the label {label!r} is not a single token of its tokenizer")
    return single


def _logsumexp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log of the summed probability of each row, [rows]; -inf where all columns are, nan where any is."""
    highest = values.max(axis=1)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        total: NDArray[np.float64] = shift + np.log(np.exp(values - shift[:, None]).sum(axis=1))
    return total


def critique_of(logp_a: float, logp_b: float, margin: float, swapped: bool = False) -> Critique:
    """Return the judgement that two label log-probabilities give; nan is neither good nor confident.

    Args:
        logp_a: log-probability of label A, in nats.
        logp_b: of label B.
        margin: minimum absolute difference of a confident judgement.
        swapped: a means bad.
    """
    difference = logp_a - logp_b
    is_good = difference < 0 if swapped else difference > 0
    return Critique(
        is_good=is_good,
        predicted_label=cast(Literal["A", "B"], LABEL_GOOD if is_good != swapped else LABEL_BAD),
        logp_a=logp_a,
        logp_b=logp_b,
        margin=abs(difference),
        confident=abs(difference) >= margin,
    )
