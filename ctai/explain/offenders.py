"""What made a metric miss its threshold: the answers, judgements and losses that count against it, worst or first ones first.

One rule for each metric that is about single things; a metric that is about none, such as the size of the test set, has none.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ctai.generate.shard import BEYOND_TARGET
from ctai.qc.calibration import labelled_responses
from ctai.qc.faults import find_faults
from ctai.records import EvaluationItem, ProbeJudgement, Rejection, SentinelResult
from ctai.report.reader import GenerationData, RunReader
from ctai.tasks.base import normalize_case_and_spacing


class Offender(NamedTuple):
    """One thing that counts against a metric: what is wrong with it, what was asked, what the model wrote."""

    what: str
    asked: str
    text: str


Rule = Callable[[RunReader, str], Iterable[Offender]]


def find_offenders(source: RunReader, gate: str, metric: str) -> list[Offender]:
    """What counts against a metric of a gate; empty where it is about nothing single, or nothing was left."""
    rule = RULES.get(metric)
    return list(rule(source, gate)) if rule else []


# -------------------------------------------------------------------------------------------------- 1: contamination


def _sentinels(*kinds: str) -> Rule:
    def rule(source: RunReader, _gate: str) -> Iterable[Offender]:
        provenance = source.examination.provenance if source.examination else None
        results = provenance.sentinels.results if provenance and provenance.sentinels else ()
        return (_sentinel(one) for one in results if one.kind in kinds and not one.passed)

    return rule


def _sentinel(one: SentinelResult) -> Offender:
    return Offender(f"{one.name} {one.detail}".strip(), one.prompt, one.response)


# ---------------------------------------------------------------------------------------------------- 2a: instruments


def _misjudged_answers(source: RunReader, _gate: str) -> Iterable[Offender]:
    families = source.scorers.by_family if source.scorers else {}
    worst_first = sorted(families, key=lambda name: families[name].kappa)
    return (Offender(f"misjudged, {name}", "", text) for name in worst_first for text in families[name].disagreements)


def _misjudged_responses(*, missed: bool) -> Rule:
    """Labelled responses in which a detector missed a fault, or found one that is not there."""

    def rule(_source: RunReader, _gate: str) -> Iterable[Offender]:
        for one in labelled_responses():
            found, labelled = find_faults(one.text, one.finish_reason), frozenset(one.faults)
            for fault in sorted(labelled - found if missed else found - labelled):
                yield Offender(f"{'not found' if missed else 'not there'}, {fault}", "", one.text)

    return rule


def _misjudged_probes(kind: str) -> Rule:
    def rule(source: RunReader, _gate: str) -> Iterable[Offender]:
        probes = source.lines(f"evidence/instruments/critic_{kind}/probes.jsonl", ProbeJudgement)
        wrong = [one for one in probes if one.label and (one.label == "A") != one.critique.is_good]
        wrong.sort(key=lambda one: -one.critique.margin)
        return (
            Offender(f"{one.fault}, judged {one.critique.predicted_label}", one.instruction, one.response)
            for one in wrong
        )

    return rule


# ------------------------------------------------------------------------------------------------- 2b, 3: generation


def _batch(source: RunReader, gate: str) -> GenerationData | None:
    return source.pilot if gate == "pilot" else source.scale


def _lost(*phases: str, reason: str = "") -> Rule:
    """What was not kept, the most frequent reason first; what was good and one too many is no offender."""

    def rule(source: RunReader, gate: str) -> Iterable[Offender]:
        batch = _batch(source, gate)
        every = (*batch.rejections, *batch.dropped) if batch else ()
        lost = [one for one in every if (not phases or one.phase in phases) and reason in one.reason]
        lost = [one for one in lost if one.reason != BEYOND_TARGET]
        often = Counter((one.phase, one.reason) for one in lost)
        lost.sort(key=lambda one: -often[one.phase, one.reason])
        return map(_rejection, lost)

    return rule


def _rejection(one: Rejection) -> Offender:
    what, answer = f"{one.phase}, {one.reason}", one.completion or one.response
    return Offender(what, one.instruction, answer) if answer else Offender(what, "", one.instruction)


def _at_limit(source: RunReader, gate: str) -> Iterable[Offender]:
    batch = _batch(source, gate)
    lost = batch.rejections if batch else []
    return (Offender("cut off", one.instruction, one.completion) for one in lost if one.finish_reason == "length")


def _longest(source: RunReader, gate: str) -> Iterable[Offender]:
    batch = _batch(source, gate)
    kept = sorted(batch.examples if batch else [], key=lambda one: -one.metadata.response_tokens)
    return (Offender(f"{one.metadata.response_tokens} tokens", one.instruction, one.response) for one in kept)


def _kept_again(source: RunReader, gate: str) -> Iterable[Offender]:
    batch = _batch(source, gate)
    kept = source.dataset if gate == "scale" else batch.examples if batch else []
    often = Counter(normalize_case_and_spacing(one.instruction) for one in kept)
    return (
        Offender("there more than once", "", one.instruction)
        for one in kept
        if often[normalize_case_and_spacing(one.instruction)] > 1
    )


def _kept_with_fault(source: RunReader, gate: str) -> Iterable[Offender]:
    batch = _batch(source, gate)
    for one in source.dataset if gate == "scale" else batch.examples if batch else []:
        if faults := find_faults(one.response, one.finish_reason):
            yield Offender(", ".join(sorted(faults)), one.instruction, one.response)


# ------------------------------------------------------------------------------------------------------ 4: evaluation


def _answered_already(source: RunReader, _gate: str) -> Iterable[Offender]:
    return (Offender("base, right", one.instruction, one.raw) for one in source.base_arm("base") if one.content)


def _wrong_answers(*types: str) -> Rule:
    """What the trained model gets wrong, first where its base was right; of the last attempt."""

    def rule(source: RunReader, _gate: str) -> Iterable[Offender]:
        if not source.attempts:
            return ()
        last = source.attempts[-1]
        right = {one.item for one in last.base_items if one.content}
        wrong = [one for one in last.sft_items if not one.content and (not types or one.type in types)]
        wrong.sort(key=lambda one: one.item not in right)
        return (_wrong(one, base_was_right=one.item in right) for one in wrong)

    return rule


def _wrong(one: EvaluationItem, *, base_was_right: bool) -> Offender:
    base = ", and the base was right" if base_was_right else ""
    return Offender(f"wrong ({one.failure_reason}){base}", one.instruction, one.raw)


RULES: dict[str, Rule] = {
    "instruct_weights_findings": _sentinels("completion", "bare_instruction", "control_token", "worksheet"),
    "sentinel_completion_rate": _sentinels("completion"),
    "sentinel_control_token_mass": _sentinels("control_token"),
    "sentinel_followed_and_stopped_rate": _sentinels("bare_instruction"),
    "sentinel_worksheet_stopped_rate": _sentinels("worksheet"),
    "scorer_kappa": _misjudged_answers,
    "scorer_family_kappa": _misjudged_answers,
    "detector_precision": _misjudged_responses(missed=False),
    "detector_recall": _misjudged_responses(missed=True),
    "instruction_critic_balanced_accuracy": _misjudged_probes("instructions"),
    "pair_critic_balanced_accuracy": _misjudged_probes("pairs"),
    "kept_examples": _lost(),
    "unique_examples": _lost(),
    "runaway_rate": _lost("response", reason="runaway"),
    "token_limit_rate": _at_limit,
    "delimiter_rate": _lost("response", reason="delimiter"),
    "truncated_rate": _lost("response", reason="truncated"),
    "median_tokens": _longest,
    "instruction_acceptance": _lost("instruction"),
    "pair_acceptance": _lost("response", "pair"),
    "duplicate_rate": _kept_again,
    "heldout_overlap": _lost("decontaminate"),
    "kept_faults": _kept_with_fault,
    "base_zero_shot_content": _answered_already,
    "content_lift": _wrong_answers(),
    "content_p_value": _wrong_answers(),
    "safety_regressions": _wrong_answers("safety"),
    "format_regressions": _wrong_answers("format"),
}
