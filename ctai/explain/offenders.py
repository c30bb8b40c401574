"""Offending samples of a metric: the responses, judgements and rejections that count against it.

One rule for each metric over single samples, worst or first samples first. Aggregate metrics, such as the size of the test
set, have no rule.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ctai.qc.calibration import labelled_responses
from ctai.qc.faults import find_faults
from ctai.records import BEYOND_TARGET, EvaluationItem, Example, ProbeJudgement, Rejection, SentinelResult
from ctai.rundir.reader import GenerationData, RunReader
from ctai.tasks import GUARDED_TYPES
from ctai.tasks.base import normalize_case_and_spacing


class Offender(NamedTuple):
    """One sample that counts against a metric: its problem, its prompt and the model output."""

    problem: str
    prompt: str
    text: str


Rule = Callable[[RunReader, str], Iterable[Offender]]


def find_offenders(reader: RunReader, gate: str, metric: str) -> list[Offender]:
    """Return the samples that count against a metric of a gate; empty for an aggregate metric or without records."""
    rule = RULES.get(metric)
    return list(rule(reader, gate)) if rule else []


# ----------------------------------------------------------------------------------------------------- contamination


def _failed_sentinels(*kinds: str) -> Rule:
    def rule(reader: RunReader, _gate: str) -> Iterable[Offender]:
        provenance = reader.contamination.provenance if reader.contamination else None
        results = provenance.sentinels.results if provenance and provenance.sentinels else ()
        return (_sentinel_offender(result) for result in results if result.kind in kinds and not result.passed)

    return rule


def _sentinel_offender(result: SentinelResult) -> Offender:
    return Offender(f"{result.name} {result.detail}".strip(), result.prompt, result.response)


# ------------------------------------------------------------------------------------------------------- instruments


def _misjudged_answers(reader: RunReader, _gate: str) -> Iterable[Offender]:
    families = reader.scorers.by_family if reader.scorers else {}
    worst_first = sorted(families, key=lambda name: families[name].kappa)
    return (Offender(f"misjudged, {name}", "", text) for name in worst_first for text in families[name].disagreements)


def _misjudged_responses(*, missed: bool) -> Rule:
    """Return the rule for labelled responses with false negatives (`missed`) or false positives of a detector."""

    def rule(_reader: RunReader, _gate: str) -> Iterable[Offender]:
        for response in labelled_responses():
            detected, labelled = find_faults(response.text, response.finish_reason), frozenset(response.faults)
            for fault in sorted(labelled - detected if missed else detected - labelled):
                yield Offender(f"{'missed' if missed else 'false positive'}, {fault}", "", response.text)

    return rule


def _misjudged_probes(kind: str) -> Rule:
    def rule(reader: RunReader, _gate: str) -> Iterable[Offender]:
        probes = reader.read_lines(reader.rundir.probes(kind), ProbeJudgement)
        wrong = [probe for probe in probes if probe.label and (probe.label == "A") != probe.critique.is_good]
        wrong.sort(key=lambda probe: -probe.critique.margin)
        return (
            Offender(f"{probe.fault}, judged {probe.critique.predicted_label}", probe.instruction, probe.response)
            for probe in wrong
        )

    return rule


# ----------------------------------------------------------------------------------------------------- pilot and scale


def _generation(reader: RunReader, gate: str) -> GenerationData | None:
    return reader.pilot if gate == "pilot" else reader.scale


def _kept_examples(reader: RunReader, gate: str) -> Sequence[Example]:
    """Return the examples that the gate counts: the merged dataset at scale, else those of the pilot."""
    if gate == "scale":
        return reader.dataset
    generation = _generation(reader, gate)
    return generation.examples if generation else []


def _rejected(*phases: str, reason: str = "") -> Rule:
    """Return the rule for rejections, the most frequent reason first, without good pairs beyond the target."""

    def rule(reader: RunReader, gate: str) -> Iterable[Offender]:
        generation = _generation(reader, gate)
        rejections = [
            rejection
            for rejection in ((*generation.rejections, *generation.removed) if generation else ())
            if (not phases or rejection.phase in phases)
            and reason in rejection.reason
            and rejection.reason != BEYOND_TARGET
        ]
        counts = Counter((rejection.phase, rejection.reason) for rejection in rejections)
        rejections.sort(key=lambda rejection: -counts[rejection.phase, rejection.reason])
        return map(_rejection_offender, rejections)

    return rule


def _rejection_offender(rejection: Rejection) -> Offender:
    problem, output = f"{rejection.phase}, {rejection.reason}", rejection.completion or rejection.response
    if not output:
        return Offender(problem, "", rejection.instruction)
    return Offender(problem, rejection.instruction, output)


def _at_token_limit(reader: RunReader, gate: str) -> Iterable[Offender]:
    generation = _generation(reader, gate)
    return (
        Offender("token limit reached", rejection.instruction, rejection.completion)
        for rejection in (generation.rejections if generation else [])
        if rejection.finish_reason == "length"
    )


def _longest_responses(reader: RunReader, gate: str) -> Iterable[Offender]:
    generation = _generation(reader, gate)
    examples = generation.examples if generation else []
    longest = sorted(examples, key=lambda example: -example.metadata.response_tokens)
    return (
        Offender(f"{example.metadata.response_tokens} tokens", example.instruction, example.response)
        for example in longest
    )


def _kept_duplicates(reader: RunReader, gate: str) -> Iterable[Offender]:
    examples = _kept_examples(reader, gate)
    counts = Counter(normalize_case_and_spacing(example.instruction) for example in examples)
    return (
        Offender("duplicate instruction", "", example.instruction)
        for example in examples
        if counts[normalize_case_and_spacing(example.instruction)] > 1
    )


def _kept_faults(reader: RunReader, gate: str) -> Iterable[Offender]:
    for example in _kept_examples(reader, gate):
        if faults := find_faults(example.response, example.finish_reason):
            yield Offender(", ".join(sorted(faults)), example.instruction, example.response)


# ------------------------------------------------------------------------------------------- headroom and evaluation


def _correct_base_answers(reader: RunReader, _gate: str) -> Iterable[Offender]:
    return (Offender("base, correct", item.instruction, item.raw) for item in reader.base_arm("base") if item.content)


def _wrong_reference_answers(reader: RunReader, _gate: str) -> Iterable[Offender]:
    items = (item for item in reader.base_arm("reference") if not item.content)
    return (Offender(f"reference, {item.failure_reason}", item.instruction, item.raw) for item in items)


def _wrong_answers(*types: str) -> Rule:
    """Return the rule for wrong answers of the trained model in the last attempt, first where its base was correct."""

    def rule(reader: RunReader, _gate: str) -> Iterable[Offender]:
        if not reader.attempts:
            return ()
        last = reader.attempts[-1]
        correct_in_base = {item.item for item in last.base_items if item.content}
        wrong = [item for item in last.sft_items if not item.content and (not types or item.type in types)]
        wrong.sort(key=lambda item: item.item not in correct_in_base)
        return (_wrong_answer(item, base_correct=item.item in correct_in_base) for item in wrong)

    return rule


def _answers_that_run_on(reader: RunReader, _gate: str) -> Iterable[Offender]:
    items = reader.attempts[-1].sft_items if reader.attempts else ()
    return (
        Offender(f"not ended by the model ({item.finish_reason})", item.instruction, item.raw)
        for item in items
        if not item.stopped
    )


def _wrong_answer(item: EvaluationItem, *, base_correct: bool) -> Offender:
    suffix = ", and the base was correct" if base_correct else ""
    return Offender(f"wrong ({item.failure_reason}){suffix}", item.instruction, item.raw)


RULES: dict[str, Rule] = {
    "instruct_weights_findings": _failed_sentinels("completion", "bare_instruction", "control_token", "prompt_format"),
    "sentinel_completion_rate": _failed_sentinels("completion"),
    "sentinel_control_token_mass": _failed_sentinels("control_token"),
    "sentinel_followed_and_stopped_rate": _failed_sentinels("bare_instruction"),
    "sentinel_prompt_format_stopped_rate": _failed_sentinels("prompt_format"),
    "scorer_kappa": _misjudged_answers,
    "scorer_family_kappa": _misjudged_answers,
    "detector_precision": _misjudged_responses(missed=False),
    "detector_recall": _misjudged_responses(missed=True),
    "instruction_critic_balanced_accuracy": _misjudged_probes("instructions"),
    "pair_critic_balanced_accuracy": _misjudged_probes("pairs"),
    "kept_examples": _rejected(),
    "unique_examples": _rejected(),
    "critic_gain": _rejected("pair"),
    "runaway_rate": _rejected("response", reason="runaway"),
    "token_limit_rate": _at_token_limit,
    "delimiter_rate": _rejected("response", reason="delimiter"),
    "truncated_rate": _rejected("response", reason="truncated"),
    "median_tokens": _longest_responses,
    "instruction_acceptance": _rejected("instruction"),
    "pair_acceptance": _rejected("response", "pair"),
    "duplicate_rate": _kept_duplicates,
    "heldout_overlap": _rejected("decontaminate"),
    "kept_faults": _kept_faults,
    "base_formatted_content": _correct_base_answers,
    "base_formatted_content_upper": _correct_base_answers,
    "base_formatted_content_limit": _correct_base_answers,
    "reference_content": _wrong_reference_answers,
    "content_lift": _wrong_answers(),
    "content_p_value": _wrong_answers(),
    "stop_rate": _answers_that_run_on,
    "strict_p_value": _answers_that_run_on,
    "strict_share": _answers_that_run_on,
    "few_shot_non_inferiority": _wrong_answers(),
    "guarded_non_inferiority": _wrong_answers(*GUARDED_TYPES),
    "type_regressions": _wrong_answers(),
}
