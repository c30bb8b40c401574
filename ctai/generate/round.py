"""One round of a shard: instructions, instruction critic, responses, pair critic.

Owns why a thing that was generated is not kept: every loss is a `Rejection` with its phase and reason. Generating and
judging themselves are `instructions`', `responses`' and `critic`'s.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from ctai.config import RunConfig
from ctai.generate.critic import InstructionCritic
from ctai.generate.dedup.deduplication import OnlineDeduplicator
from ctai.generate.instructions import InstructionList, SeedOf, generate_instructions
from ctai.generate.responses import ResponseDraft, ResponseRequest, respond
from ctai.model.protocols import TextEngine
from ctai.qc.faults import find_faults
from ctai.records import Critique, Example, ExampleMetadata, GenerationRound, ModelProvenance, Rejection, RoundBatch

# Form faults that an instruction must not have: it goes into prompts as it is.
_UNFIT_INSTRUCTION = ("template", "delimiter")
TOO_LONG = "too long for the context"
CONTROL_TOKEN = "control token"
NO_INSTRUCTION = "no instruction in the list"

T = TypeVar("T")


class ExampleOrigin(NamedTuple):
    """Where examples come from: stage and shard, the run, and the code."""

    stage: Literal["pilot", "scale"]
    shard: int
    run_id: str
    git_commit: str
    git_dirty: bool


class _Fresh(NamedTuple):
    """An instruction that is new to the shard, with its number."""

    number: int
    instruction: str


class RoundGenerator:
    """Makes the rounds of one shard.

    Args:
        engine: the model.
        provenance: which model it is.
        config: the run's configuration.
        origin: what examples say of where they come from.
        seed_of: makes the seed of a thing from what names it within the shard.
        seen: every instruction of the shard so far; the held-out set is in it.
    """

    def __init__(
        self,
        engine: TextEngine,
        provenance: ModelProvenance,
        config: RunConfig,
        origin: ExampleOrigin,
        seed_of: SeedOf,
        seen: OnlineDeduplicator,
    ) -> None:
        self._engine = engine
        self._provenance = provenance
        self._settings = config.generation
        self._origin = origin
        self._seed_of = seed_of
        self._seen = seen
        self._critic = InstructionCritic(engine, config.critic.confident_margin)
        self._control = frozenset(provenance.control_token_ids)

    def make(self, number: int, first_item: int, own: Sequence[str]) -> RoundBatch:
        """Generate and judge one round.

        Args:
            number: the round.
            first_item: the number of its first instruction within the shard.
            own: the instructions that the shard has kept before.
        """
        rejections: list[Rejection] = []
        splits_before = self._engine.batch_splits
        proposals = generate_instructions(self._engine, self._settings, self._seed_of, number, own)
        fresh = self._fresh(proposals, first_item, rejections)
        verdicts = self._judge_instructions(fresh)
        items = self._accepted_items(fresh, verdicts, rejections)
        answered = respond(self._engine, self._settings, self._seed_of, items, self._control)
        rejections += [
            self._rejection("response", TOO_LONG, item.number, item.instruction) for item in answered.too_long
        ]
        sound = self._sound(answered.responses, rejections)
        pair_verdicts = self._judge_pairs(sound)
        examples = self._accepted_examples(sound, pair_verdicts, rejections)
        generation = GenerationRound(
            shard=self._origin.shard,
            round=number,
            batch_splits=self._engine.batch_splits - splits_before,
            lists=tuple(proposal.record() for proposal in proposals),
            list_lines=sum(proposal.lines for proposal in proposals),
            parsed=sum(len(proposal.instructions) for proposal in proposals),
            instruction_critiques=tuple(verdict for verdict in verdicts if verdict),
            responses=tuple(response.measured for response in answered.responses),
            pair_critiques=tuple(verdict for verdict in pair_verdicts if verdict),
        )
        return RoundBatch(generation=generation, examples=tuple(examples), rejections=tuple(rejections))

    # -- instructions ------------------------------------------------------------------------------------------------

    def _fresh(
        self, proposals: Sequence[InstructionList], first_item: int, rejections: list[Rejection]
    ) -> list[_Fresh]:
        """Number the instructions; keep those that are fit to be sent, new to the shard and not held out."""
        fresh: list[_Fresh] = []
        texts = [text for proposal in proposals for text in proposal.instructions]
        controlled = self._control_tokens_in(texts)
        for number, (text, has_control) in enumerate(zip(texts, controlled, strict=True), start=first_item):
            if reason := unfit(text) or (CONTROL_TOKEN if has_control else ""):
                rejections.append(self._rejection("parse", reason, number, text))
            elif dropped := self._seen.add(text):
                repeats = dropped.repeated_instruction
                rejections.append(self._rejection(dropped.phase, dropped.reason, number, text, repeats=repeats))
            else:
                fresh.append(_Fresh(number, text))
        rejections += [self._nothing(proposal, first_item) for proposal in proposals if not proposal.instructions]
        return fresh

    def _nothing(self, proposal: InstructionList, item: int) -> Rejection:
        done = proposal.completion
        return self._rejection("parse", NO_INSTRUCTION, item, "", completion=done.raw, finish_reason=done.finish_reason)

    def _control_tokens_in(self, texts: Sequence[str]) -> list[bool]:
        """Whether the tokenizer reads a chat-control token in texts that the model wrote letter by letter."""
        return [not self._control.isdisjoint(ids) for ids in self._engine.encode_batch(texts)]

    def _judge_instructions(self, fresh: Sequence[_Fresh]) -> list[Critique | None]:
        texts = [one.instruction for one in fresh]
        return self._judge(texts, self._critic.instruction_prompt, self._critic.judge_instructions)

    def _judge(
        self, things: Sequence[T], prompt: Callable[[T], str], judge: Callable[[list[T]], list[Critique]]
    ) -> list[Critique | None]:
        """Judge what fits into the context; None for what does not."""
        room = self._engine.context_length - 1  # a beginning-of-sequence token may stand before the prompt
        fits = [len(ids) <= room for ids in self._engine.encode_batch(list(map(prompt, things)))]
        verdicts = iter(judge([thing for thing, fit in zip(things, fits, strict=True) if fit]))
        return [next(verdicts) if fit else None for fit in fits]

    def _passes(self, critique: Critique | None) -> bool:
        return critique is not None and (critique.accepted or not self._settings.filter_with_critic)

    def _accepted_items(
        self, fresh: Sequence[_Fresh], verdicts: Sequence[Critique | None], rejections: list[Rejection]
    ) -> list[ResponseRequest]:
        items = []
        for (number, text), verdict in zip(fresh, verdicts, strict=True):
            if verdict is not None and self._passes(verdict):
                items.append(ResponseRequest(number, text, verdict))
            else:
                reason = reason_of(verdict)
                rejections.append(self._rejection("instruction", reason, number, text, critique=verdict))
        return items

    # -- responses ---------------------------------------------------------------------------------------------------

    def _sound(self, responses: Sequence[ResponseDraft], rejections: list[Rejection]) -> list[ResponseDraft]:
        """The responses without a fault of form."""
        sound = []
        for response in responses:
            reason = " and ".join(response.measured.faults)
            if not reason and response.has_control_token:
                reason = CONTROL_TOKEN
            if reason:
                rejections.append(self._reject_response("response", reason, response, None))
            else:
                sound.append(response)
        return sound

    def _judge_pairs(self, responses: Sequence[ResponseDraft]) -> list[Critique | None]:
        pairs = [(response.item.instruction, response.text) for response in responses]
        return self._judge(pairs, lambda pair: self._critic.pair_prompt(*pair), self._critic.judge_pairs)

    def _accepted_examples(
        self, responses: Sequence[ResponseDraft], verdicts: Sequence[Critique | None], rejections: list[Rejection]
    ) -> list[Example]:
        examples = []
        for response, verdict in zip(responses, verdicts, strict=True):
            if verdict is not None and self._passes(verdict):
                examples.append(self._example(response, verdict))
            else:
                rejections.append(self._reject_response("pair", reason_of(verdict), response, verdict))
        return examples

    # -- records -----------------------------------------------------------------------------------------------------

    def _example(self, response: ResponseDraft, verdict: Critique) -> Example:
        return Example(
            instruction=response.item.instruction,
            response=response.text,
            prompt=response.prompt,
            completion=response.completion.raw,
            finish_reason=response.completion.finish_reason,
            instruction_critique=response.item.critique,
            pair_critique=verdict,
            metadata=self._metadata(response),
        )

    def _metadata(self, response: ResponseDraft) -> ExampleMetadata:
        origin, model = self._origin, self._provenance
        return ExampleMetadata(
            git_commit=origin.git_commit,
            git_dirty=origin.git_dirty,
            loader_version=model.loader_version,
            model=model.model_id,
            weights_digest=model.weights_digest,
            quantization=model.quantization,
            template_disabled=model.template_disabled,
            # typed as true: a model that did not pass gate 1 cannot come here, and if it did this would raise
            sentinel_tests_passed=model.sentinels is not None and not model.sentinels.instruct_weights,
            stage=origin.stage,
            shard=origin.shard,
            item=response.item.number,
            seed=response.seed,
            sampling=self._settings.response_sampling,
            run_id=origin.run_id,
            response_tokens=response.measured.tokens,
        )

    def _reject_response(
        self, phase: Literal["response", "pair"], reason: str, response: ResponseDraft, verdict: Critique | None
    ) -> Rejection:
        item, done = response.item, response.completion
        return self._rejection(
            phase, reason, item.number, item.instruction, response=response.text, completion=done.raw,
            finish_reason=done.finish_reason, critique=verdict, prompt=response.prompt, seed=response.seed,
        )  # fmt: skip

    def _rejection(
        self,
        phase: Literal["parse", "instruction", "response", "pair", "dedup", "decontaminate"],
        reason: str,
        item: int,
        instruction: str,
        **more: Any,
    ) -> Rejection:
        shard = self._origin.shard
        return Rejection(phase=phase, reason=reason, instruction=instruction, shard=shard, item=item, **more)


def unfit(instruction: str) -> str:
    """The fault of form for which an instruction must not go into a prompt; empty if it has none."""
    faults = find_faults(instruction)
    return next((fault for fault in _UNFIT_INSTRUCTION if fault in faults), "")


def reason_of(verdict: Critique | None) -> str:
    """Why a judgement does not accept; None stands for what did not fit into the critic's prompt."""
    if verdict is None:
        return TOO_LONG
    if math.isnan(verdict.margin):
        return "judgement is not a number"
    return "not confident" if verdict.is_good else "judged bad"
