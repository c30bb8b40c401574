"""Gate 1 again: every sentinel judged from what the model wrote, and the report from the single results."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ctai.errors import CtaiError
from ctai.gates.recompute.compare import differences
from ctai.model.sentinels import (
    FOLLOWED_NOTICE,
    BareInstruction,
    bare_instructions,
    completes,
    completion_reasons,
    instruct_reasons,
    sentinel_findings,
)
from ctai.prompts import CompletionStylePrompts
from ctai.records import ContaminationReport, Rate, SentinelReport, SentinelResult
from ctai.statistics import describe, rate
from ctai.tasks.families import Family, by_name

_WROTE_CONTROL = "wrote a chat-control token"


class _Again(NamedTuple):
    """A result judged again. Which token ended it is known from the result alone: token ids are not kept."""

    kind: str
    success: bool
    stopped: bool
    wrote_control: bool


def report_again(stored: SentinelReport) -> SentinelReport:
    """The report that follows from the single results.

    Raises:
        CtaiError: a result is of no prompt of the suite.
    """
    own = {item.name: item for item in bare_instructions(random.Random(0))}
    judged = [_judge(result, own) for result in stored.results if result.kind != "control_token"]
    facts, bare = ([one for one in judged if one.kind == kind] for kind in ("completion", "bare_instruction"))
    completed = _rate([one.success for one in facts])
    followed = _rate([one.success for one in bare])
    stopped = _rate([one.success and one.stopped for one in bare])
    mass = describe([result.value for result in stored.results if result.kind == "control_token"]).mean
    reasons = instruct_reasons(mass, _rate([one.wrote_control for one in judged]), stopped)
    return SentinelReport(
        completion_rate=completed,
        followed_rate=followed,
        followed_and_stopped_rate=stopped,
        control_token_mass=mass,
        statistic=stored.statistic,
        instruct_weights=bool(reasons),
        follows_instructions=followed.value >= FOLLOWED_NOTICE,
        reasons=(*reasons, *completion_reasons(completed)),
        results=stored.results,
    )


def examination_differences(report: ContaminationReport, where: str) -> Iterator[str]:
    """Where the examination's record does not follow from its single results."""
    stored = report.provenance.sentinels if report.provenance else None
    if stored is None:
        return
    yield from differences(stored, report_again(stored), f"{where} sentinels")
    own = {item.name: item for item in bare_instructions(random.Random(0))}
    for number, result in enumerate(stored.results):
        if result.kind != "control_token" and result.value != float(_judge(result, own).success):
            yield f"{where} sentinel {number} ({result.name}): what the model wrote does not deserve {result.value}"
    found = [(finding.name, finding.message) for finding in sentinel_findings(report_again(stored))]
    said = [(f.name, f.message) for f in report.findings if f.name in ("instruct_weights", "language_model")]
    yield from differences(said, found, f"{where} findings")


def _judge(result: SentinelResult, own: dict[str, BareInstruction]) -> _Again:
    success = _completed(result) if result.kind == "completion" else _followed(result, own)
    answer = CompletionStylePrompts.clean_response(result.response)
    stopped = result.finish_reason == "eos" and answer == result.response.strip()
    return _Again(result.kind, success, stopped, result.detail.endswith(_WROTE_CONTROL))


def _completed(result: SentinelResult) -> bool:
    family = _family(result)
    statement = family.statements[0]
    prompts = {key: statement.replace("{key}", key).split("{answer}")[0].rstrip() for key in family.keys}
    key = next((key for key, prompt in prompts.items() if prompt == result.prompt), None)
    if key is None:
        raise CtaiError(f"sentinel {result.name}: no fact of the suite begins {result.prompt[:60]!r}")
    return completes(family, key, result.response)


def _followed(result: SentinelResult, own: dict[str, BareInstruction]) -> bool:
    text = result.prompt.removesuffix("\n")
    if result.name in own and own[result.name].text == text:
        return own[result.name].fulfilled(result.response)
    family = _family(result)
    if family.parse(text) is None:
        raise CtaiError(f"sentinel {result.name}: its family asks no {text[:60]!r}")
    return family.check(text, result.response).content


def _family(result: SentinelResult) -> Family:
    try:
        return by_name(result.name)
    except ValueError as error:
        raise CtaiError(f"sentinel {result.name}: {error}") from error


def _rate(outcomes: Sequence[bool]) -> Rate:
    return rate(sum(outcomes), len(outcomes))
