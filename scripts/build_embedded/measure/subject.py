"""Model to measure: questions in, scored answers and log-odds of the critic out, in the prompt formats of ctai.

Owns the calls of the model. Sampling settings, stop strings and critic are those of a run with the profile ``embedded``.
"""

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from ctai.config import RunConfig
from ctai.generate.critic import InstructionCritic
from ctai.generate.responses import parse_response
from ctai.model.loader import CleanModel, CleanModelLoader
from ctai.prompts import STOP_STRINGS, CompletionStylePrompts
from ctai.provenance import derive_seed
from ctai.records import Completion, Critique, Sampling
from ctai.tasks import registry, seeds
from ctai.tasks.base import Score
from scripts.build_embedded.measure.rates import Metrics, by_group, share
from scripts.build_embedded.misconceptions import misconception

Quantization = Literal["none", "nf4"]
CONFIG = RunConfig.load("embedded")
MARGIN = CONFIG.critic.confident_margin
GREEDY = Sampling(max_new_tokens=CONFIG.headroom.max_new_tokens)
GREEDY_FEW_SHOT = GREEDY.model_copy(update={"stop": STOP_STRINGS})


class Question(NamedTuple):
    """Instruction about a combination of family and key."""

    family: str
    key: str
    instruction: str

    @property
    def type(self) -> str:
        """Type of the family."""
        return registry.by_name(self.family).type


class Answer(NamedTuple):
    """Scored completion of a question."""

    question: Question
    completion: Completion
    score: Score

    @property
    def response(self) -> str:
        """Cleaned response."""
        return parse_response(self.completion).text

    @property
    def is_right(self) -> bool:
        """Whether the content is right."""
        return self.score.content


def scored(question: Question, completion: Completion) -> Answer:
    """Score a completion up to a stop string, as the evaluation of a run does."""
    # the text of a completion lacks only a stop string, so it equals the raw output where none ended it
    return Answer(question, completion, registry.score(question.instruction, completion.text, completion.finish_reason))


def zero_shot(questions: Sequence[Question]) -> list[str]:
    """Return the prompts of training and evaluation."""
    return [CompletionStylePrompts.zero_shot(question.instruction) for question in questions]


def few_shot(instructions: Sequence[str], label: str) -> list[str]:
    """Return few-shot prompts, each with examples drawn for it; the label names the draw."""
    count = CONFIG.generation.few_shot_examples
    draws = (random.Random(f"{label}/{number}") for number in range(len(instructions)))
    return [
        CompletionStylePrompts.response_prompt(text, seeds.few_shot_examples(count, rng))
        for text, rng in zip(instructions, draws, strict=True)
    ]


@dataclass(frozen=True)
class Subject:
    """Model that is measured."""

    model: CleanModel
    seed: int

    @classmethod
    def load(cls, folder: Path, quantization: Quantization, seed: int) -> "Subject":
        """Load a model folder as a run does, without the sentinels: the tests of ctai cover them."""
        loader = CleanModelLoader(str(folder), quantization, batch_size=CONFIG.model.batch_size)
        return cls(loader.load(sentinels=False), seed)

    @contextmanager
    def adapted(self, adapter: Path) -> Iterator["Subject"]:
        """Attach an adapter; the base cannot be used meanwhile."""
        with self.model.with_adapter(adapter) as model:
            yield Subject(model, self.seed)

    def complete(self, prompts: Sequence[str], sampling: Sampling, label: str = "") -> list[Completion]:
        """Continue each prompt; the label names the random numbers where the sampling is not greedy."""
        drawn = [derive_seed(self.seed, "measure", label, number) for number in range(len(prompts))]
        return self.model.engine.generate(prompts, sampling, drawn)

    def answer(
        self, questions: Sequence[Question], prompts: Sequence[str], sampling: Sampling, label: str = ""
    ) -> list[Answer]:
        """Continue the prompt of each question and score the completion."""
        completions = self.complete(prompts, sampling, label)
        return [scored(*row) for row in zip(questions, completions, strict=True)]

    def pair_odds(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the log-odds of A of the pair critic, in nats."""
        return _odds(InstructionCritic(self.model.engine, MARGIN).judge_pairs(pairs))

    def instruction_odds(self, instructions: Sequence[str]) -> list[float]:
        """Return the log-odds of A of the instruction critic, in nats."""
        return _odds(InstructionCritic(self.model.engine, MARGIN).judge_instructions(instructions))

    def control_logprob(self, prompts: Sequence[str]) -> float:
        """Return the largest log-probability of a chat-control token as the next token of these prompts."""
        return float(self.model.engine.token_logprobs(prompts, self.model.provenance.control_token_ids).max())


def _odds(critiques: Sequence[Critique]) -> list[float]:
    return [critique.logp_a - critique.logp_b for critique in critiques]


def right(answers: Sequence[Answer]) -> list[bool]:
    """Return whether the content of each answer is right."""
    return [answer.is_right for answer in answers]


def correctness(name: str, answers: Sequence[Answer]) -> Metrics:
    """Return the share of right answers: over all, and for keys with and without a misconception."""
    marked = [answer for answer in answers if _misconception(answer) is not None]
    rest = [answer for answer in answers if _misconception(answer) is None]
    return {
        name: share(right(answers)),
        f"{name}: keys without a misconception": share(right(rest)),
        f"{name}: keys with a misconception": share(right(marked)),
        f"{name}: misconception given as the answer": share(list(map(repeats_misconception, marked))),
    }


def by_type(name: str, answers: Sequence[Answer]) -> Metrics:
    """Return the share of right answers of each type."""
    return {f"{name}: by type": by_group([answer.question.type for answer in answers], right(answers))}


def repeats_misconception(answer: Answer) -> bool:
    """Return whether a wrong answer has the misconception about its key as whole words, in any case."""
    popular = _misconception(answer)
    if popular is None or answer.is_right:
        return False
    return re.search(rf"(?<!\w){re.escape(popular)}(?!\w)", answer.response, re.IGNORECASE) is not None


def _misconception(answer: Answer) -> str | None:
    return misconception(answer.question.family, answer.question.key)
