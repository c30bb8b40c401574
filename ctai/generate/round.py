"""One round of a shard: instructions, instruction critic, responses, pair critic.

Owns the rejections: each generated item that is not accepted becomes a `Rejection` with its phase and reason. Does not
own generation (`ctai.generate.instructions`, `ctai.generate.responses`) or judgement (`ctai.generate.critic`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from ctai.config import RunConfig
from ctai.generate.critic import InstructionCritic
from ctai.generate.dedup.deduplication import OnlineDeduplicator
from ctai.generate.instructions import InstructionList, SeedOf, generate_instructions
from ctai.generate.responses import ResponseDraft, ResponseRequest, generate_responses
from ctai.model.protocols import TextEngine
from ctai.qc.faults import find_faults
from ctai.records import (
    Completion,
    Critique,
    Example,
    ExampleMetadata,
    GenerationRound,
    ModelProvenance,
    Rejection,
    RoundBatch,
)

# Faults of form that an instruction must not have, since it goes into prompts unchanged.
_FORBIDDEN_INSTRUCTION_FAULTS = ("template", "delimiter")
TOO_LONG = "too long for the context"
CONTROL_TOKEN = "control token"
NO_INSTRUCTION = "no instruction in the list"

T = TypeVar("T")


class ExampleOrigin(NamedTuple):
    """Origin of examples: stage and shard, the run, and the code version."""

    stage: Literal["pilot", "scale"]
    shard: int
    run_id: str
    git_commit: str
    git_dirty: bool


class _NewInstruction(NamedTuple):
    """An instruction that is new to the shard, with its number."""

    number: int
    instruction: str


class RoundGenerator:
    """Generator of the rounds of one shard.

    Args:
        engine: the model.
        provenance: identity of the model.
        config: the run's configuration.
        origin: stage, shard, run and code version for the metadata of the examples.
        seed_of: derives a seed from the parts that name its use within the shard.
        deduplicator: holds the held-out set and every instruction of the shard so far; each round adds to it.
    """

    def __init__(
        self,
        engine: TextEngine,
        provenance: ModelProvenance,
        config: RunConfig,
        origin: ExampleOrigin,
        seed_of: SeedOf,
        deduplicator: OnlineDeduplicator,
    ) -> None:
        self._engine = engine
        self._provenance = provenance
        self._settings = config.generation
        self._origin = origin
        self._seed_of = seed_of
        self._deduplicator = deduplicator
        self._critic = InstructionCritic(engine, config.critic.confident_margin)
        self._control_ids = frozenset(provenance.control_token_ids)

    def generate(self, number: int, first_item: int, accepted: Sequence[str]) -> RoundBatch:
        """Generate and judge one round.

        Args:
            number: index of the round.
            first_item: number of its first instruction within the shard.
            accepted: instructions of the examples that earlier rounds accepted.

        Raises:
            CtaiError: generation or judgement failed.
        """
        rejections: list[Rejection] = []
        splits_before = self._engine.batch_splits
        lists = generate_instructions(self._engine, self._settings, self._seed_of, number, accepted)
        instructions = self._new_instructions(lists, first_item, rejections)
        critiques = self._judge_instructions(instructions)
        items = self._accepted_items(instructions, critiques, rejections)
        batch = generate_responses(self._engine, self._settings, self._seed_of, items, self._control_ids)
        rejections += [self._rejection("response", TOO_LONG, item.number, item.instruction) for item in batch.too_long]
        responses = self._well_formed(batch.responses, rejections)
        pair_critiques = self._judge_pairs(responses)
        examples = self._accepted_examples(responses, pair_critiques, rejections)
        generation = GenerationRound(
            shard=self._origin.shard,
            round=number,
            batch_splits=self._engine.batch_splits - splits_before,
            lists=tuple(item.record() for item in lists),
            list_lines=sum(item.lines for item in lists),
            parsed=sum(len(item.instructions) for item in lists),
            instruction_critiques=tuple(critique for critique in critiques if critique),
            responses=tuple(response.record for response in batch.responses),
            pair_critiques=tuple(critique for critique in pair_critiques if critique),
        )
        return RoundBatch(generation=generation, examples=tuple(examples), rejections=tuple(rejections))

    # -- instructions ------------------------------------------------------------------------------------------------

    def _new_instructions(
        self, lists: Sequence[InstructionList], first_item: int, rejections: list[Rejection]
    ) -> list[_NewInstruction]:
        """Return the instructions, numbered, that are well-formed, new to the shard and not held out; reject the rest."""
        instructions: list[_NewInstruction] = []
        texts = [text for item in lists for text in item.instructions]
        control_flags = self._has_control_tokens(texts)
        for number, (text, has_control) in enumerate(zip(texts, control_flags, strict=True), start=first_item):
            if reason := instruction_fault(text) or (CONTROL_TOKEN if has_control else ""):
                rejections.append(self._rejection("parse", reason, number, text))
            elif match := self._deduplicator.add(text):
                duplicate_of = match.repeated_instruction
                rejections.append(self._rejection(match.phase, match.reason, number, text, duplicate_of=duplicate_of))
            else:
                instructions.append(_NewInstruction(number, text))
        rejections += [self._reject_empty_list(item.completion, first_item) for item in lists if not item.instructions]
        return instructions

    def _reject_empty_list(self, completion: Completion, item: int) -> Rejection:
        raw, finish_reason = completion.raw, completion.finish_reason
        return self._rejection("parse", NO_INSTRUCTION, item, "", completion=raw, finish_reason=finish_reason)

    def _has_control_tokens(self, texts: Sequence[str]) -> list[bool]:
        """Return for each text whether the tokenizer reads a chat-control token in it, written letter by letter."""
        return [not self._control_ids.isdisjoint(ids) for ids in self._engine.encode_batch(texts)]

    def _judge_instructions(self, instructions: Sequence[_NewInstruction]) -> list[Critique | None]:
        texts = [item.instruction for item in instructions]
        return self._judge(texts, self._critic.instruction_prompt, self._critic.judge_instructions)

    def _judge(
        self, items: Sequence[T], prompt: Callable[[T], str], judge: Callable[[list[T]], list[Critique]]
    ) -> list[Critique | None]:
        """Judge the items that fit into the context; None for the rest."""
        limit = self._engine.context_length - 1  # a beginning-of-sequence token may stand before the prompt
        fits = [len(ids) <= limit for ids in self._engine.encode_batch(list(map(prompt, items)))]
        critiques = iter(judge([item for item, fit in zip(items, fits, strict=True) if fit]))
        return [next(critiques) if fit else None for fit in fits]

    def _passes(self, critique: Critique | None) -> bool:
        return critique is not None and (critique.accepted or not self._settings.filter_with_critic)

    def _accepted_items(
        self,
        instructions: Sequence[_NewInstruction],
        critiques: Sequence[Critique | None],
        rejections: list[Rejection],
    ) -> list[ResponseRequest]:
        items = []
        for (number, text), critique in zip(instructions, critiques, strict=True):
            if critique is not None and self._passes(critique):
                items.append(ResponseRequest(number, text, critique))
            else:
                reason = rejection_reason(critique)
                rejections.append(self._rejection("instruction", reason, number, text, critique=critique))
        return items

    # -- responses ---------------------------------------------------------------------------------------------------

    def _well_formed(self, responses: Sequence[ResponseDraft], rejections: list[Rejection]) -> list[ResponseDraft]:
        """Return the responses without a fault of form; reject the rest."""
        well_formed = []
        for response in responses:
            reason = " and ".join(response.record.faults)
            if not reason and response.has_control_token:
                reason = CONTROL_TOKEN
            if reason:
                rejections.append(self._reject_response("response", reason, response, None))
            else:
                well_formed.append(response)
        return well_formed

    def _judge_pairs(self, responses: Sequence[ResponseDraft]) -> list[Critique | None]:
        pairs = [(response.item.instruction, response.text) for response in responses]
        return self._judge(pairs, lambda pair: self._critic.pair_prompt(*pair), self._critic.judge_pairs)

    def _accepted_examples(
        self, responses: Sequence[ResponseDraft], critiques: Sequence[Critique | None], rejections: list[Rejection]
    ) -> list[Example]:
        examples = []
        for response, critique in zip(responses, critiques, strict=True):
            if critique is not None and self._passes(critique):
                examples.append(self._example(response, critique))
            else:
                rejections.append(self._reject_response("pair", rejection_reason(critique), response, critique))
        return examples

    # -- records -----------------------------------------------------------------------------------------------------

    def _example(self, response: ResponseDraft, critique: Critique) -> Example:
        return Example(
            instruction=response.item.instruction,
            response=response.text,
            prompt=response.prompt,
            completion=response.completion.raw,
            finish_reason=response.completion.finish_reason,
            instruction_critique=response.item.critique,
            pair_critique=critique,
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
            # typed as true: for a model that did not pass gate contamination this raises
            sentinel_tests_passed=model.sentinels is not None and not model.sentinels.instruct_weights,
            stage=origin.stage,
            shard=origin.shard,
            item=response.item.number,
            seed=response.seed,
            sampling=self._settings.response_sampling,
            run_id=origin.run_id,
            response_tokens=response.record.tokens,
        )

    def _reject_response(
        self, phase: Literal["response", "pair"], reason: str, response: ResponseDraft, critique: Critique | None
    ) -> Rejection:
        item, completion = response.item, response.completion
        return self._rejection(
            phase, reason, item.number, item.instruction, response=response.text, completion=completion.raw,
            finish_reason=completion.finish_reason, critique=critique, prompt=response.prompt, seed=response.seed,
        )  # fmt: skip

    def _rejection(
        self,
        phase: Literal["parse", "instruction", "response", "pair", "dedup", "decontaminate"],
        reason: str,
        item: int,
        instruction: str,
        **fields: Any,
    ) -> Rejection:
        shard = self._origin.shard
        return Rejection(phase=phase, reason=reason, instruction=instruction, shard=shard, item=item, **fields)


def instruction_fault(instruction: str) -> str:
    """Return the fault of form for which an instruction must not go into a prompt; empty if it has none."""
    faults = find_faults(instruction)
    return next((fault for fault in _FORBIDDEN_INSTRUCTION_FAULTS if fault in faults), "")


def rejection_reason(critique: Critique | None) -> str:
    """Return the reason of a rejection by the critic; None stands for a prompt that did not fit into the context."""
    if critique is None:
        return TOO_LONG
    if math.isnan(critique.margin):
        return "judgement is not a number"
    return "not confident" if critique.is_good else "judged bad"
