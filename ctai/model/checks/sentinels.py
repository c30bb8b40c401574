"""Sentinels: what a model does with raw prompts, and whether that is what a base model does.

Owns the statistics of the suite and their thresholds; what is asked and which answers are right is in
`sentinel_items`. Two findings are kept apart. *Instruct or contaminated weights* stop everything. *A base model that
already follows instructions* is reported only: the headroom check judges that, before training.
"""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from ctai.model.checks.contamination import Finding
from ctai.model.checks.sentinel_items import bare_instructions, completes, facts
from ctai.model.protocols import TextEngine
from ctai.prompts import CompletionStylePrompts
from ctai.records import Completion, Rate, Sampling, SentinelReport, SentinelResult, WorksheetRates
from ctai.statistics import rate

# The thresholds lie between known base models and known tuned ones: docs/sentinels.md, by scripts/calibrate_sentinels.py.
# Control mass tells chat models apart even when they follow nothing; "followed and stopped" those that answer a bare
# instruction and end with a plain end of text; "worksheet" those tuned in a prompt format such as ctai's own, which answer
# nothing without it: that they stop tells, not that they are right. To follow without stopping is what capable base models
# do: no such threshold. The floor of completions only tells a language model from noise: small ones know few of the facts.
CONTROL_MASS_CEILING = 0.02
STOPPED_CEILING = 0.4
WORKSHEET_CEILING = 0.8
WRITTEN_CEILING = 0.05
COMPLETION_FLOOR = 0.2
FOLLOWED_NOTICE = 0.25

_FACTS_PER_FAMILY = 3
_WORKSHEET_DRAWS = 2
_COMPLETION = Sampling(max_new_tokens=10)
_ANSWER = Sampling(max_new_tokens=32)


class _Judged(NamedTuple):
    """A result of the suite with what the statistics need: did it succeed, and which way did it end."""

    result: SentinelResult
    success: bool
    stopped: bool
    wrote_control: bool


def run_sentinels(engine: TextEngine, control_ids: Sequence[int], seed: int = 0) -> SentinelReport:
    """Run the suite, greedily.

    Args:
        engine: of the model to judge, with no adapter.
        control_ids: the chat-control tokens of its tokenizer.
        seed: chooses the keys of facts and instructions.
    """
    rng = random.Random(f"sentinels/{seed}")
    control = frozenset(control_ids)
    stated, bare = _run_facts(engine, rng, control), _run_bare(engine, rng, control)
    ends = _run_ends(engine, rng, sorted(control))
    sheets = _run_worksheets(engine, random.Random(f"worksheets/{seed}"), control)
    worksheets = tuple(_worksheet_rates(form, judged) for form, judged in sheets.items())
    written = _rate([item.wrote_control for item in (*stated, *bare)])
    completed = _rate([item.success for item in stated])
    followed = _rate([item.success for item in bare])
    stopped = _rate([item.success and item.stopped for item in bare])
    mass = float(np.mean([result.value for result in ends]))
    reasons = instruct_reasons(mass, written, stopped, worksheets)
    return SentinelReport(
        completion_rate=completed,
        followed_rate=followed,
        followed_and_stopped_rate=stopped,
        worksheets=worksheets,
        control_token_mass=mass,
        statistic=(
            f"instruct weights if control-token mass > {CONTROL_MASS_CEILING}, or control tokens end more than "
            f"{WRITTEN_CEILING:.0%} of the answers, or more than {STOPPED_CEILING:.0%} of bare instructions are "
            f"followed and stopped after, or surely (Wilson 95%) more than {WORKSHEET_CEILING:.0%} of the answers to one "
            "form of worksheet are"
        ),
        instruct_weights=bool(reasons),
        follows_instructions=followed.value >= FOLLOWED_NOTICE,
        reasons=(*reasons, *completion_reasons(completed)),
        results=(
            *(i.result for i in (*stated, *bare)),
            *ends,
            *(i.result for judged in sheets.values() for i in judged),
        ),
    )


def instruct_reasons(
    mass: float, written: Rate, stopped: Rate, worksheets: Sequence[WorksheetRates]
) -> tuple[str, ...]:
    """Why a model's behaviour is that of instruct or chat weights; empty when it is not.

    Args:
        mass: mean probability of a chat-control token after finished answers and statements.
        written: answers and completions that a chat-control token ended.
        stopped: bare instructions that were fulfilled, with the end of the text right after the answer.
        worksheets: of each form, how often the text ended right after an answer.
    """
    reasons = []
    # `not <=`: what is not a number must stop a model too
    if not mass <= CONTROL_MASS_CEILING:
        reasons.append(
            f"chat-control tokens have probability {mass:.3f} after a finished text (> {CONTROL_MASS_CEILING})"
        )
    if not written.value <= WRITTEN_CEILING:
        reasons.append(f"{written.k} of {written.n} raw prompts made the model write a chat-control token")
    if not stopped.value <= STOPPED_CEILING:
        reasons.append(
            f"{stopped.k} of {stopped.n} bare instructions were followed, and the text ended right after the answer "
            f"(> {STOPPED_CEILING:.0%})"
        )
    reasons += [
        f"in the form {sheet.form!r}, the model ended the text itself right after {sheet.stopped.k} of {sheet.stopped.n} "
        f"answers (surely > {WORKSHEET_CEILING:.0%}), as after tuning in such a form: a merged adapter or instruct weights"
        for sheet in worksheets
        if not sheet.stopped.interval.low <= WORKSHEET_CEILING
    ]
    return tuple(reasons)


def worst_worksheet(worksheets: Sequence[WorksheetRates]) -> WorksheetRates:
    """The form in which it is surest that the model ends its answers."""
    return max(worksheets, key=lambda sheet: sheet.stopped.interval.low)


def completion_reasons(completed: Rate) -> tuple[str, ...]:
    """Why a model does not count as a working language model; empty when it does."""
    if completed.value >= COMPLETION_FLOOR:
        return ()
    return (f"not a working language model: {completed.k} of {completed.n} plain statements were completed rightly",)


def sentinel_findings(report: SentinelReport) -> list[Finding]:
    """The findings of a report that stop a model. That it follows instructions is none of them."""
    idle = completion_reasons(report.completion_rate)
    findings = [Finding("language_model", reason) for reason in idle]
    if report.instruct_weights:
        reasons = [reason for reason in report.reasons if reason not in idle]
        findings.insert(0, Finding("instruct_weights", f"these are instruct or chat weights: {'; '.join(reasons)}"))
    return findings


def _run_facts(engine: TextEngine, rng: random.Random, control: frozenset[int]) -> list[_Judged]:
    stated = facts(rng, _FACTS_PER_FAMILY)
    prompts = [statement.split("{answer}")[0].rstrip() for _, _, statement in stated]
    judged = []
    for (family, key, _), prompt, written in zip(stated, prompts, engine.generate(prompts, _COMPLETION), strict=True):
        good = completes(family, key, written.raw)
        detail = "" if good else f"none of: {', '.join(family.accepted(key)[:3])}"
        judged.append(_judged("completion", family.name, prompt, written, control, _Outcome(good, good, detail)))
    return judged


def _run_bare(engine: TextEngine, rng: random.Random, control: frozenset[int]) -> list[_Judged]:
    asked = bare_instructions(rng)
    sent = [(item, item.text + end) for item in asked for end in ("", "\n")]
    completions = engine.generate([prompt for _, prompt in sent], _ANSWER)
    judged = []
    for (item, prompt), written in zip(sent, completions, strict=True):
        followed = item.fulfilled(written.raw)
        bad = followed and _stopped(written)
        detail = "followed" + (" and stopped" if bad else "") if followed else ""
        judged.append(
            _judged("bare_instruction", item.name, prompt, written, control, _Outcome(followed, not bad, detail))
        )
    return judged


def _run_worksheets(engine: TextEngine, rng: random.Random, control: frozenset[int]) -> dict[str, list[_Judged]]:
    """Instructions in the forms that tuned weights expect, ctai's own among them."""
    asked = {item.text: item for _ in range(_WORKSHEET_DRAWS) for item in bare_instructions(rng)}.values()
    sent = [(item, form, text) for item in asked for form, text in CompletionStylePrompts.worksheets(item.text).items()]
    judged: dict[str, list[_Judged]] = {form: [] for _, form, _ in sent}
    completions = engine.generate([prompt for *_, prompt in sent], _ANSWER)
    for (item, form, prompt), written in zip(sent, completions, strict=True):
        followed, stopped = item.fulfilled(written.raw), _stopped(written)
        detail = f"{'followed' if followed else 'not followed'}{' and stopped' if stopped else ''}"
        judged[form].append(
            _judged("worksheet", item.name, prompt, written, control, _Outcome(followed, not stopped, detail))
        )
    return judged


def _worksheet_rates(form: str, judged: Sequence[_Judged]) -> WorksheetRates:
    answered = [item for item in judged if item.result.response.strip()]
    return WorksheetRates(
        form=form,
        followed=_rate([item.success for item in judged]),
        stopped=_rate([item.stopped for item in answered]),
    )


def _run_ends(engine: TextEngine, rng: random.Random, control: Sequence[int]) -> list[SentinelResult]:
    """The probability of a chat-control token where a text is finished: after statements and after answers."""
    prompts = []
    for family, key, statement in facts(rng, 2):
        complete = statement.replace("{answer}", family.answer(key))
        prompts += [complete, f"{family.render(key, 0)}\n{complete}"]
    masses = np.exp(engine.token_logprobs(prompts, control)).sum(axis=1)
    return [
        SentinelResult(
            name="finished_text",
            kind="control_token",
            prompt=prompt,
            response="",
            finish_reason=None,
            passed=bool(mass <= CONTROL_MASS_CEILING),
            value=float(mass),
        )
        for prompt, mass in zip(prompts, masses, strict=True)
    ]


class _Outcome(NamedTuple):
    """The check of one answer: whether it did what the prompt asks, whether that speaks for a base model, and why."""

    success: bool
    passed: bool
    detail: str


def _judged(
    kind: Literal["completion", "bare_instruction", "worksheet"],
    name: str,
    prompt: str,
    written: Completion,
    control: frozenset[int],
    outcome: _Outcome,
) -> _Judged:
    success, passed, detail = outcome
    wrote = written.token_ids[-1] in control
    result = SentinelResult(
        name=name,
        kind=kind,
        prompt=prompt,
        response=written.raw,
        finish_reason=written.finish_reason,
        passed=passed and not wrote,
        value=float(success),
        detail=f"{detail}{', ' if detail else ''}wrote a chat-control token" if wrote else detail,
    )
    return _Judged(result, success, _stopped(written), wrote)


def _stopped(written: Completion) -> bool:
    """Whether the model wrote an answer and ended the text by itself, with nothing after the answer."""
    text = written.raw.strip()
    return bool(text) and written.finish_reason == "eos" and CompletionStylePrompts.clean_response(written.raw) == text


def _rate(outcomes: Sequence[bool]) -> Rate:
    return rate(sum(outcomes), len(outcomes))
