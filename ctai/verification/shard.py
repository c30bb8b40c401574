"""A shard again: every list read again, every answer cleaned and searched for faults again, every decision taken again.

What follows from texts and log-probabilities is computed again by the functions that made it. What only the tokenizer or
the model knows (token counts, the log-probabilities themselves, whether a text spells a control token) is taken from the
records, and has to be the same wherever it is written twice.
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
from ctai.generate.shard import BEYOND_TARGET, DATASET, GENERATION, REJECTIONS, SUMMARY
from ctai.prompts import CompletionStylePrompts, until_stop
from ctai.provenance import derive_seed
from ctai.qc.summary import MinimumCount, QcInput, SummaryHeader, summarize
from ctai.records import (
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

Fate = Example | Rejection


class ShardPlan(NamedTuple):
    """What a shard was to be: its stage, number and size, the configuration it was made with, the model it came from."""

    stage: Literal["pilot", "scale"]
    number: int
    target: int
    config: RunConfig
    weights_digest: str
    has_control_tokens: bool


class RecomputedShard(NamedTuple):
    """A shard's records, with all that could be judged again judged again, and what differed on the way."""

    examples: list[Example]
    rejections: list[Rejection]
    rounds: list[GenerationRound]
    summary: QcSummary
    differences: tuple[str, ...]


class _RecordedDraft(NamedTuple):
    """An instruction of the shard: its number, its text and what became of it."""

    number: int
    text: str
    fate: Fate


def recompute_shard(
    folder: Path, name: str, artifact: str, plan: ShardPlan, heldout: Sequence[HeldoutItem]
) -> RecomputedShard:
    """Judge a shard again.

    Args:
        folder: where it lies.
        name: how differences name it.
        artifact: the name of its QC summary.
        plan: what it was to be.
        heldout: the frozen test set.

    Raises:
        CtaiError: a file is missing, or is not what it should be.
    """
    examples = read_jsonl(folder / DATASET, Example)
    rejections = read_jsonl(folder / REJECTIONS, Rejection)
    stored = read_jsonl(folder / GENERATION, GenerationRound)
    again = _ShardRecomputation(plan, heldout, examples, rejections)
    rounds = [again.round(number, one) for number, one in enumerate(stored)]
    found = list(differences(stored, rounds, f"{name}/{GENERATION}"))
    found += [f"{name}: {text}" for text in (*again.found, *again.leftovers(), *_example_problems(examples, plan))]
    jaccard = plan.config.scale.near_duplicate_jaccard
    header = SummaryHeader(plan.stage, read_record(folder / SUMMARY, QcSummary).run_id, _inputs(folder), artifact)
    summary = summarize(
        header,
        QcInput(examples, rejections, rounds, overlapping(examples, heldout, jaccard)),
        MinimumCount("kept_examples", plan.target),
        plan.config.qc,
    )
    found += differences(read_record(folder / SUMMARY, QcSummary), summary, f"{name}/{SUMMARY}")
    return RecomputedShard(examples, rejections, rounds, summary, tuple(found))


def _inputs(folder: Path) -> dict[str, str]:
    made = {file: sha256_file(folder / file) for file in (DATASET, REJECTIONS, GENERATION)}
    return {**read_record(folder / "manifest.json", StageManifest).inputs, **made}


class _ShardRecomputation:
    """Goes through the rounds of a shard as it was made, and takes every decision again."""

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
        self.found: list[str] = []
        fates: list[tuple[int, Fate]] = [(example.metadata.item, example) for example in examples]
        fates += [(rejection.item, rejection) for rejection in rejections if rejection.reason != NO_INSTRUCTION]
        counts = Counter(number for number, _ in fates)
        self.found += [f"instruction {number} came to {n} ends" for number, n in counts.items() if n > 1]
        self._fates = dict(fates)

    def leftovers(self) -> Iterator[str]:
        """What the rounds do not account for."""
        beyond = sorted(number for number in self._fates if not 0 <= number < self._items)
        yield from (f"there is an instruction {number}, but {self._items} were generated" for number in beyond)
        if self._no_instruction != self._empty_lists:
            yield f"{self._empty_lists} lists hold no instruction, but {self._no_instruction} are recorded"

    def round(self, number: int, stored: GenerationRound) -> GenerationRound:
        """A round as it follows from its texts."""
        lists = [
            read_list(
                _until_stop(one.raw, one.finish_reason, self._settings.instruction_sampling.stop), one.finish_reason
            )
            for one in stored.lists
        ]
        seeds = [self._seed("list", number, index) for index in range(len(lists))]
        if [one.seed for one in stored.lists] != seeds:
            self.found.append(f"round {number}: its lists were generated with other seeds")
        texts = [text for _, instructions in lists for text in instructions]
        self._empty_lists += sum(not instructions for _, instructions in lists)
        fresh = list(self._fresh(texts))
        items = list(self._judged_instructions(number, fresh, stored.instruction_critiques))
        self._items += len(texts)
        asked = [item for item in items if not _is_rejected(item.fate, "response", TOO_LONG)]
        if [item.number for item in asked] != [response.item for response in stored.responses]:
            self.found.append(f"round {number}: its responses are not to the instructions that were accepted")
            return stored
        responses = [self._response(item, one) for item, one in zip(asked, stored.responses, strict=True)]
        self._judge_pairs(number, asked, responses, stored.pair_critiques)
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

    def _fresh(self, texts: Sequence[str]) -> Iterator[_RecordedDraft]:
        """The instructions that were fit and new; the others have to be recorded as what they are."""
        for number, text in enumerate(texts, start=self._items):
            fate = self._fates.get(number)
            if fate is None or fate.instruction != text:
                self.found.append(f"instruction {number} ({text[:60]!r}) is neither kept nor rejected")
                continue
            reason = instruction_fault(text)
            if not reason and self._plan.has_control_tokens and _is_rejected(fate, "parse", CONTROL_TOKEN):
                reason = CONTROL_TOKEN
            if reason:
                self._expect(number, _is_rejected(fate, "parse", reason), f"is unfit: {reason}")
            elif dropped := self._seen.add(text):
                right = _is_rejected(fate, dropped.phase, dropped.reason)
                right = right and getattr(fate, "repeats", None) == dropped.repeated_instruction
                self._expect(number, right, f"repeats {dropped.repeated_instruction[:60]!r} ({dropped.reason})")
            else:
                early = isinstance(fate, Rejection) and fate.phase in ("parse", "dedup", "decontaminate")
                self._expect(number, not early, "is fit and new")
                yield _RecordedDraft(number, text, fate)

    def _judged_instructions(
        self, number: int, fresh: Sequence[_RecordedDraft], critiques: Sequence[Critique]
    ) -> Iterator[_RecordedDraft]:
        """The instructions that the critic accepted, each with its judgement."""
        judged = [one for one in fresh if not _is_rejected(one.fate, "instruction", TOO_LONG)]
        if len(judged) != len(critiques):
            self.found.append(f"round {number}: {len(critiques)} judgements of {len(judged)} instructions")
            return
        for one, critique in zip(judged, critiques, strict=True):
            passed = self._passes(one.number, critique)
            own = one.fate.instruction_critique if isinstance(one.fate, Example) else one.fate.critique
            refused = _is_rejected(one.fate, "instruction", rejection_reason(critique))
            self._expect(one.number, refused != passed, f"was {'accepted' if passed else 'not accepted'} by the critic")
            if isinstance(one.fate, Example) or not passed:
                self._expect(
                    one.number, own is not None and values_match(own, critique), "was judged otherwise in its round"
                )
            if passed:
                yield one

    def _passes(self, number: int, critique: Critique) -> bool:
        again = critique_of(critique.logp_a, critique.logp_b, self._plan.config.critic.confident_margin)
        self._expect(
            number, values_match(critique, again), "has a judgement that does not follow from its log-probabilities"
        )
        return again.accepted or not self._settings.filter_with_critic

    # -- responses ---------------------------------------------------------------------------------------------------

    def _response(self, item: _RecordedDraft, stored: GeneratedResponse) -> GeneratedResponse:
        """A response measured again; a control token at its end is known from the record alone."""
        fate = item.fate
        finish = fate.finish_reason or "length"
        text = _until_stop(fate.completion, finish, self._settings.response_sampling.stop)
        completion = Completion(text=text, raw=fate.completion, token_ids=(), finish_reason=finish)
        ended = self._plan.has_control_tokens and "template" in stored.faults
        answer = parse_response(completion)
        measured = measure(item.number, completion, answer, stored.tokens, ended)
        self._expect(
            item.number, answer.text == fate.response, "has a response that is not what is left of the raw text"
        )
        if isinstance(fate, Example):
            self._expect(item.number, fate.metadata.response_tokens == stored.tokens, "has two counts of tokens")
        seed = fate.metadata.seed if isinstance(fate, Example) else fate.seed
        self._expect(item.number, seed == self._seed("response", item.number), "was generated with another seed")
        framed = fate.prompt.endswith(CompletionStylePrompts.zero_shot(item.text))
        self._expect(item.number, framed, "was answered to a prompt of another instruction")
        return measured

    def _judge_pairs(
        self,
        number: int,
        asked: Sequence[_RecordedDraft],
        responses: Sequence[GeneratedResponse],
        critiques: Sequence[Critique],
    ) -> None:
        sound = [item for item, response in zip(asked, responses, strict=True) if self._is_sound(item, response)]
        judged = [item for item in sound if not _is_rejected(item.fate, "pair", TOO_LONG)]
        if len(judged) != len(critiques):
            self.found.append(f"round {number}: {len(critiques)} judgements of {len(judged)} pairs")
            return
        for item, critique in zip(judged, critiques, strict=True):
            passed = self._passes(item.number, critique)
            own = item.fate.pair_critique if isinstance(item.fate, Example) else item.fate.critique
            kept = isinstance(item.fate, Example) or _is_rejected(item.fate, "pair", BEYOND_TARGET)
            refused = _is_rejected(item.fate, "pair", rejection_reason(critique))
            word = "accepted" if passed else "not accepted"
            self._expect(item.number, kept if passed else refused, f"is a pair that was {word} by the critic")
            self._expect(
                item.number, own is not None and values_match(own, critique), "was judged otherwise in its round"
            )

    def _is_sound(self, item: _RecordedDraft, response: GeneratedResponse) -> bool:
        reason = " and ".join(response.faults)
        if not reason and self._plan.has_control_tokens and _is_rejected(item.fate, "response", CONTROL_TOKEN):
            reason = CONTROL_TOKEN
        rejected = isinstance(item.fate, Rejection) and item.fate.phase == "response"
        right = _is_rejected(item.fate, "response", reason) if reason else not rejected
        self._expect(item.number, right, f"has a response with the faults: {reason or 'none'}")
        return not reason

    def _expect(self, number: int, holds: bool, what: str) -> None:
        if not holds:
            self.found.append(f"instruction {number} {what}; its record says otherwise")


def _is_rejected(fate: Fate, phase: str, reason: str) -> bool:
    return isinstance(fate, Rejection) and (fate.phase, fate.reason) == (phase, reason)


def _until_stop(raw: str, finish_reason: FinishReason, stops: Sequence[str]) -> str:
    """What counts of a raw text: all, or what stands before the stop string that ended it."""
    if finish_reason != "stop":
        return raw
    text = until_stop(raw, stops)
    if text is None:
        raise CtaiError(f"a text ended at a stop string that is not in it: {raw[-60:]!r}")
    return text


def _example_problems(examples: Sequence[Example], plan: ShardPlan) -> Iterator[str]:
    """What examples say of themselves, held against the plan."""
    if len(examples) > plan.target:
        yield f"{len(examples)} examples were kept, more than {plan.target}"
    expected = {
        "stage": plan.stage,
        "shard": plan.number,
        "weights_digest": plan.weights_digest,
        "sampling": plan.config.generation.response_sampling,
    }
    for example in examples:
        said = {name: getattr(example.metadata, name) for name in expected}
        yield from differences(said, expected, f"example {example.metadata.item}")
