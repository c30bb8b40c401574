"""Recomputation of a shard: parsing of lists and answers, faults, deduplication, critic decisions and QC summary.

All that follows from texts and log-probabilities is recomputed by the functions that generated the shard. Values that need
the tokenizer or the model (token counts, log-probabilities, control tokens in a text) are taken from the records, and
must agree wherever they are recorded twice.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.critic import critique_of
from ctai.generate.dedup.decontamination import overlapping
from ctai.generate.dedup.deduplication import OnlineDeduplicator
from ctai.generate.instructions import read_list
from ctai.generate.responses import measure, parse_response
from ctai.generate.round import CONTROL_TOKEN, NO_INSTRUCTION, TOO_LONG, instruction_fault, rejection_reason
from ctai.generate.shard import DATASET, GENERATION, REJECTIONS, SUMMARY
from ctai.prompts import CompletionStylePrompts, until_stop
from ctai.provenance import derive_seed
from ctai.qc.summary import MinimumCount, QcInput, SummaryHeader, summarize
from ctai.records import (
    BEYOND_TARGET,
    Completion,
    Critique,
    Example,
    FinishReason,
    GeneratedResponse,
    GenerationRound,
    HeldoutItem,
    QcSummary,
    Rejection,
    StageManifest,
)
from ctai.rundir import read_jsonl, read_record, sha256_file
from ctai.rundir.diff import differences, values_match
from ctai.verification.quality import summary_differences

DraftRecord = Example | Rejection
"""Record that an instruction ends in: kept as an example, or rejected."""


class ShardPlan(NamedTuple):
    """Parameters that a shard was generated with.

    Attributes:
        stage: stage of the shard.
        number: number of the shard.
        target: number of examples to keep.
        config: configuration of the shard.
        weights_digest: digest of the weights of the base model.
        has_control_tokens: the tokenizer has chat-control tokens.
    """

    stage: Literal["pilot", "scale"]
    number: int
    target: int
    config: RunConfig
    weights_digest: str
    has_control_tokens: bool


class RecomputedShard(NamedTuple):
    """Stored and recomputed records of a shard.

    Attributes:
        examples: stored examples.
        rejections: stored rejections.
        rounds: recomputed generation rounds.
        summary: recomputed QC summary.
        differences: differences between stored and recomputed records.
    """

    examples: list[Example]
    rejections: list[Rejection]
    rounds: list[GenerationRound]
    summary: QcSummary
    differences: tuple[str, ...]


class _RecordedDraft(NamedTuple):
    """Generated instruction of the shard, with the record that it ends in."""

    number: int
    text: str
    record: DraftRecord


def recompute_shard(
    folder: Path, name: str, artifact: str, plan: ShardPlan, heldout: Sequence[HeldoutItem]
) -> RecomputedShard:
    """Recompute a shard.

    Args:
        folder: folder of the shard.
        name: name of the shard in differences.
        artifact: path of its QC summary, relative to the run directory.
        plan: parameters that it was generated with.
        heldout: the frozen test set.

    Raises:
        CtaiError: a record is missing or unreadable.
    """
    examples = read_jsonl(folder / DATASET, Example)
    rejections = read_jsonl(folder / REJECTIONS, Rejection)
    stored = read_jsonl(folder / GENERATION, GenerationRound)
    shard = _ShardRecomputation(plan, heldout, examples, rejections)
    rounds = [shard.recompute_round(number, generation_round) for number, generation_round in enumerate(stored)]
    problems = list(differences(stored, rounds, f"{name}/{GENERATION}"))
    texts = (*shard.problems, *shard.unaccounted_records(), *_metadata_differences(examples, plan))
    problems += [f"{name}: {text}" for text in texts]
    jaccard = plan.config.scale.near_duplicate_jaccard
    manifest = read_record(folder / "manifest.json", StageManifest)
    inputs = {**manifest.inputs, **{file: sha256_file(folder / file) for file in (DATASET, REJECTIONS, GENERATION)}}
    run_id = read_record(folder / SUMMARY, QcSummary).run_id
    header = SummaryHeader(plan.stage, run_id, inputs, artifact, manifest.made_by)
    summary = summarize(
        header,
        QcInput(examples, rejections, rounds, overlapping(examples, heldout, jaccard)),
        MinimumCount("kept_examples", plan.target),
        plan.config.qc,
    )
    problems += summary_differences(read_record(folder / SUMMARY, QcSummary), summary, f"{name}/{SUMMARY}")
    return RecomputedShard(examples, rejections, rounds, summary, tuple(problems))


class _ShardRecomputation:
    """Recomputation of the rounds of a shard, in the order in which they were generated."""

    def __init__(
        self,
        plan: ShardPlan,
        heldout: Sequence[HeldoutItem],
        examples: Sequence[Example],
        rejections: Sequence[Rejection],
    ) -> None:
        self._plan = plan
        self._settings = plan.config.generation
        self._seen: OnlineDeduplicator = OnlineDeduplicator(heldout, plan.config.scale.near_duplicate_jaccard)
        self._items = 0
        self._empty_lists = 0
        self._no_instruction = sum(r.reason == NO_INSTRUCTION for r in rejections)
        self.problems: list[str] = []
        records: list[tuple[int, DraftRecord]] = [(example.metadata.item, example) for example in examples]
        records += [(rejection.item, rejection) for rejection in rejections if rejection.reason != NO_INSTRUCTION]
        counts = Counter(number for number, _ in records)
        self.problems += [f"instruction {number} has {n} records" for number, n in counts.items() if n > 1]
        self._records = dict(records)

    def unaccounted_records(self) -> Iterator[str]:
        """Yield the records that the recomputed rounds do not account for."""
        extra = sorted(number for number in self._records if not 0 <= number < self._items)
        yield from (f"there is an instruction {number}, but {self._items} were generated" for number in extra)
        if self._no_instruction != self._empty_lists:
            yield f"{self._empty_lists} lists hold no instruction, but {self._no_instruction} are recorded"

    def recompute_round(self, number: int, stored: GenerationRound) -> GenerationRound:
        """Return a round as it follows from its texts; problems are appended to `problems`."""
        stop = self._settings.instruction_sampling.stop
        lists = [
            read_list(_until_stop(item.raw, item.finish_reason, stop), item.finish_reason) for item in stored.lists
        ]
        seeds = [self._seed("list", number, index) for index in range(len(lists))]
        if [item.seed for item in stored.lists] != seeds:
            self.problems.append(f"round {number}: its lists were generated with other seeds")
        texts = [text for _, instructions in lists for text in instructions]
        self._empty_lists += sum(not instructions for _, instructions in lists)
        new = list(self._new_instructions(texts))
        accepted = list(self._accepted_instructions(number, new, stored.instruction_critiques))
        self._items += len(texts)
        drafts = [draft for draft in accepted if not _is_rejected(draft.record, "response", TOO_LONG)]
        if [draft.number for draft in drafts] != [response.item for response in stored.responses]:
            self.problems.append(f"round {number}: its responses are not to the instructions that were accepted")
            return stored
        responses = [self._response(draft, r) for draft, r in zip(drafts, stored.responses, strict=True)]
        self._check_pairs(number, drafts, responses, stored.pair_critiques)
        update = {
            "shard": self._plan.number,
            "round": number,
            "list_lines": sum(lines for lines, _ in lists),
            "parsed": len(texts),
            "responses": tuple(responses),
        }
        return stored.model_copy(update=update)

    def _seed(self, *parts: str | int) -> int:
        plan = self._plan
        return derive_seed(plan.config.seed, plan.stage, plan.number, self._settings.example_rotation, *parts)

    # -- instructions ------------------------------------------------------------------------------------------------

    def _new_instructions(self, texts: Sequence[str]) -> Iterator[_RecordedDraft]:
        """Yield the instructions that are well-formed and new; checks that the others are recorded as rejected."""
        for number, text in enumerate(texts, start=self._items):
            record = self._records.get(number)
            if record is None or record.instruction != text:
                self.problems.append(f"instruction {number} ({text[:60]!r}) is neither kept nor rejected")
                continue
            reason = instruction_fault(text)
            if not reason and self._plan.has_control_tokens and _is_rejected(record, "parse", CONTROL_TOKEN):
                reason = CONTROL_TOKEN
            if reason:
                self._expect(number, _is_rejected(record, "parse", reason), f"is unfit: {reason}")
            elif dropped := self._seen.add(text):
                is_recorded = _is_rejected(record, dropped.phase, dropped.reason)
                is_recorded = is_recorded and getattr(record, "duplicate_of", None) == dropped.repeated_instruction
                self._expect(number, is_recorded, f"repeats {dropped.repeated_instruction[:60]!r} ({dropped.reason})")
            else:
                is_early = isinstance(record, Rejection) and record.phase in ("parse", "dedup", "decontaminate")
                self._expect(number, not is_early, "is fit and new")
                yield _RecordedDraft(number, text, record)

    def _accepted_instructions(
        self, number: int, new: Sequence[_RecordedDraft], critiques: Sequence[Critique]
    ) -> Iterator[_RecordedDraft]:
        """Yield the instructions that the critic accepts; checks their critiques against the records."""
        drafts = [draft for draft in new if not _is_rejected(draft.record, "instruction", TOO_LONG)]
        if len(drafts) != len(critiques):
            self.problems.append(f"round {number}: {len(critiques)} judgements of {len(drafts)} instructions")
            return
        for draft, critique in zip(drafts, critiques, strict=True):
            record, passed = draft.record, self._passes(draft.number, critique)
            is_rejected = _is_rejected(record, "instruction", rejection_reason(critique))
            self._expect(
                draft.number, is_rejected != passed, f"was {'accepted' if passed else 'not accepted'} by the critic"
            )
            if isinstance(record, Example) or not passed:
                copy = record.instruction_critique if isinstance(record, Example) else record.critique
                self._expect_critique(draft.number, copy, critique)
            if passed:
                yield draft

    def _expect_critique(self, number: int, copy: Critique | None, critique: Critique) -> None:
        """Check that the critique in the record of an instruction is that of its round."""
        matches = copy is not None and values_match(copy, critique)
        self._expect(number, matches, "was judged otherwise in its round")

    def _passes(self, number: int, critique: Critique) -> bool:
        recomputed = critique_of(critique.logp_a, critique.logp_b, self._plan.config.critic.confident_margin)
        self._expect(
            number,
            values_match(critique, recomputed),
            "has a judgement that does not follow from its log-probabilities",
        )
        return recomputed.accepted or not self._settings.filter_with_critic

    # -- responses ---------------------------------------------------------------------------------------------------

    def _response(self, draft: _RecordedDraft, stored: GeneratedResponse) -> GeneratedResponse:
        """Recompute a response; a control token at its end is taken from the record."""
        record = draft.record
        finish = record.finish_reason or "length"
        text = _until_stop(record.completion, finish, self._settings.response_sampling.stop)
        completion = Completion(text=text, raw=record.completion, token_ids=(), finish_reason=finish)
        ended = self._plan.has_control_tokens and "template" in stored.faults
        parsed = parse_response(completion)
        response = measure(draft.number, completion, parsed, stored.tokens, ended)
        self._expect(
            draft.number, parsed.text == record.response, "has a response that is not what is left of the raw text"
        )
        if isinstance(record, Example):
            self._expect(draft.number, record.metadata.response_tokens == stored.tokens, "has two counts of tokens")
        seed = record.metadata.seed if isinstance(record, Example) else record.seed
        self._expect(draft.number, seed == self._seed("response", draft.number), "was generated with another seed")
        is_own_prompt = record.prompt.endswith(CompletionStylePrompts.zero_shot(draft.text))
        self._expect(draft.number, is_own_prompt, "was answered to a prompt of another instruction")
        return response

    def _check_pairs(
        self,
        number: int,
        drafts: Sequence[_RecordedDraft],
        responses: Sequence[GeneratedResponse],
        critiques: Sequence[Critique],
    ) -> None:
        faultless = [draft for draft, r in zip(drafts, responses, strict=True) if self._is_faultless(draft, r)]
        pairs = [draft for draft in faultless if not _is_rejected(draft.record, "pair", TOO_LONG)]
        if len(pairs) != len(critiques):
            self.problems.append(f"round {number}: {len(critiques)} judgements of {len(pairs)} pairs")
            return
        for draft, critique in zip(pairs, critiques, strict=True):
            record, passed = draft.record, self._passes(draft.number, critique)
            is_kept = isinstance(record, Example) or _is_rejected(record, "pair", BEYOND_TARGET)
            is_rejected = _is_rejected(record, "pair", rejection_reason(critique))
            decision = "accepted" if passed else "not accepted"
            self._expect(
                draft.number, is_kept if passed else is_rejected, f"is a pair that was {decision} by the critic"
            )
            copy = record.pair_critique if isinstance(record, Example) else record.critique
            self._expect_critique(draft.number, copy, critique)

    def _is_faultless(self, draft: _RecordedDraft, response: GeneratedResponse) -> bool:
        """Return True if a response has no fault; checks that a faulty one is recorded as rejected for its faults."""
        record, reason = draft.record, " and ".join(response.faults)
        if not reason and self._plan.has_control_tokens and _is_rejected(record, "response", CONTROL_TOKEN):
            reason = CONTROL_TOKEN
        is_rejected = isinstance(record, Rejection) and record.phase == "response"
        is_consistent = _is_rejected(record, "response", reason) if reason else not is_rejected
        self._expect(draft.number, is_consistent, f"has a response with the faults: {reason or 'none'}")
        return not reason

    def _expect(self, number: int, condition: bool, problem: str) -> None:
        if not condition:
            self.problems.append(f"instruction {number} {problem}; its record says otherwise")


def _is_rejected(record: DraftRecord, phase: str, reason: str) -> bool:
    return isinstance(record, Rejection) and (record.phase, record.reason) == (phase, reason)


def _until_stop(raw: str, finish_reason: FinishReason, stops: Sequence[str]) -> str:
    """Return a raw text up to the stop string that ended it, or all of it if none did."""
    if finish_reason != "stop":
        return raw
    text = until_stop(raw, stops)
    if text is None:
        raise CtaiError(f"a text ended at a stop string that it does not contain: {raw[-60:]!r}")
    return text


def _metadata_differences(examples: Sequence[Example], plan: ShardPlan) -> Iterator[str]:
    """Yield where number and metadata of the examples differ from the plan."""
    if len(examples) > plan.target:
        yield f"{len(examples)} examples were kept, more than {plan.target}"
    expected = {
        "stage": plan.stage,
        "shard": plan.number,
        "weights_digest": plan.weights_digest,
        "sampling": plan.config.generation.response_sampling,
    }
    for example in examples:
        metadata = {name: getattr(example.metadata, name) for name in expected}
        yield from differences(metadata, expected, f"example {example.metadata.item}")
