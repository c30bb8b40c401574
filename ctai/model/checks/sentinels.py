"""Sentinel suite: behavioural checks that tell a base model from instruct or contaminated weights.

Owns the statistics of the suite and their thresholds. Does not define prompts and correct answers
(`ctai.model.checks.sentinel_items`). Instruct or contaminated weights stop a run. A base model that already follows
instructions is only reported: gate headroom decides about it before training.
"""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from ctai.model.checks.contamination import Finding
from ctai.model.checks.sentinel_items import bare_instructions, completes, facts
from ctai.model.protocols import TextEngine
from ctai.prompts import CompletionStylePrompts
from ctai.records import Completion, PromptFormatRates, Rate, Sampling, SentinelReport, SentinelResult
from ctai.registry import fixed_threshold
from ctai.statistics import rate

# The thresholds lie between known base models and known tuned ones: docs/sentinels.md, by scripts/calibrate_sentinels.py.
# Control-token mass detects chat models even when they follow nothing; "followed and stopped" detects models that answer a
# bare instruction and end with a plain end of text; "prompt_format" detects models tuned in a prompt format such as that of
# ctai, which answer nothing without it: the evidence is that they stop, not that they are right. Capable base models follow
# without stopping, so that has no threshold. The completion floor only excludes noise: small models know few of the facts.
CONTROL_MASS_CEILING = fixed_threshold("sentinel_control_token_mass")
STOPPED_CEILING = fixed_threshold("sentinel_followed_and_stopped_rate")
PROMPT_FORMAT_CEILING = fixed_threshold("sentinel_prompt_format_stopped_rate")
WRITTEN_CEILING = 0.05
COMPLETION_FLOOR = fixed_threshold("sentinel_completion_rate")
FOLLOWED_NOTICE = 0.25

_FACTS_PER_FAMILY = 3
_PROMPT_FORMAT_DRAWS = 2
_COMPLETION = Sampling(max_new_tokens=10)
_ANSWER = Sampling(max_new_tokens=32)


class _ScoredResult(NamedTuple):
    """A result of the suite with its outcomes: success, end of text after the answer, control token written."""

    result: SentinelResult
    success: bool
    stopped: bool
    wrote_control: bool


def run_sentinels(engine: TextEngine, control_ids: Sequence[int], seed: int = 0) -> SentinelReport:
    """Run the suite with greedy decoding.

    Args:
        engine: engine of the model without an adapter.
        control_ids: chat-control tokens of its tokenizer.
        seed: seed of the choice of facts and instructions.
    """
    rng = random.Random(f"sentinels/{seed}")
    control = frozenset(control_ids)
    stated, bare = _run_facts(engine, rng, control), _run_bare(engine, rng, control)
    ends = _run_ends(engine, rng, sorted(control))
    formatted = _run_prompt_formats(engine, random.Random(f"worksheets/{seed}"), control)
    prompt_formats = tuple(_format_rates(form, results) for form, results in formatted.items())
    written = _rate([item.wrote_control for item in (*stated, *bare)])
    completed = _rate([item.success for item in stated])
    followed = _rate([item.success for item in bare])
    stopped = _rate([item.success and item.stopped for item in bare])
    mass = float(np.mean([result.value for result in ends]))
    reasons = instruct_reasons(mass, written, stopped, prompt_formats)
    return SentinelReport(
        completion_rate=completed,
        followed_rate=followed,
        followed_and_stopped_rate=stopped,
        prompt_formats=prompt_formats,
        control_token_mass=mass,
        statistic=(
            f"instruct weights if control-token mass > {CONTROL_MASS_CEILING}, or control tokens end more than "
            f"{WRITTEN_CEILING:.0%} of the answers, or more than {STOPPED_CEILING:.0%} of bare instructions are "
            "followed and the text ends right after the answer, or it ends right after more than "
            f"{PROMPT_FORMAT_CEILING:.0%} of the answers in one prompt format (Wilson 95% lower bound)"
        ),
        instruct_weights=bool(reasons),
        follows_instructions=followed.value >= FOLLOWED_NOTICE,
        reasons=(*reasons, *completion_reasons(completed)),
        results=(
            *(i.result for i in (*stated, *bare)),
            *ends,
            *(i.result for results in formatted.values() for i in results),
        ),
    )


def instruct_reasons(
    mass: float, written: Rate, stopped: Rate, prompt_formats: Sequence[PromptFormatRates]
) -> tuple[str, ...]:
    """Return the reasons to classify a model as instruct or chat weights; empty for a base model.

    Args:
        mass: mean probability of a chat-control token after finished answers and statements.
        written: rate of answers and completions ended by a chat-control token.
        stopped: rate of bare instructions that were followed with the end of the text right after the answer.
        prompt_formats: rate of answers with the end of the text right after them, by prompt format.
    """
    reasons = []
    # `not <=` instead of `>`: NaN must stop a model too
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
        f"answers (surely > {PROMPT_FORMAT_CEILING:.0%}), as after tuning in such a form: a merged adapter or instruct weights"
        for sheet in prompt_formats
        if not sheet.stopped.interval.low <= PROMPT_FORMAT_CEILING
    ]
    return tuple(reasons)


def worst_prompt_format(prompt_formats: Sequence[PromptFormatRates]) -> PromptFormatRates:
    """Return the prompt format with the highest lower bound of the rate of text ends right after an answer."""
    return max(prompt_formats, key=lambda sheet: sheet.stopped.interval.low)


def completion_reasons(completed: Rate) -> tuple[str, ...]:
    """Return the reasons to reject a model as a working language model; empty when it is one."""
    if completed.value >= COMPLETION_FLOOR:
        return ()
    return (f"not a working language model: {completed.k} of {completed.n} plain statements were completed correctly",)


def sentinel_findings(report: SentinelReport) -> list[Finding]:
    """Return the findings of a report that stop a model; following instructions is not one of them."""
    incapable = completion_reasons(report.completion_rate)
    findings = [Finding("language_model", reason) for reason in incapable]
    if report.instruct_weights:
        reasons = [reason for reason in report.reasons if reason not in incapable]
        findings.insert(0, Finding("instruct_weights", f"these are instruct or chat weights: {'; '.join(reasons)}"))
    return findings


def _run_facts(engine: TextEngine, rng: random.Random, control: frozenset[int]) -> list[_ScoredResult]:
    stated = facts(rng, _FACTS_PER_FAMILY)
    prompts = [statement.split("{answer}")[0].rstrip() for _, _, statement in stated]
    results = []
    for (family, key, _), prompt, written in zip(stated, prompts, engine.generate(prompts, _COMPLETION), strict=True):
        good = completes(family, key, written.raw)
        detail = "" if good else f"none of: {', '.join(family.accepted(key)[:3])}"
        results.append(_score("completion", family.name, prompt, written, control, _Outcome(good, good, detail)))
    return results


def _run_bare(engine: TextEngine, rng: random.Random, control: frozenset[int]) -> list[_ScoredResult]:
    prompts = [(item, item.text + end) for item in bare_instructions(rng) for end in ("", "\n")]
    completions = engine.generate([prompt for _, prompt in prompts], _ANSWER)
    results = []
    for (item, prompt), written in zip(prompts, completions, strict=True):
        followed = item.is_fulfilled(written.raw)
        bad = followed and _stopped(written)
        detail = "followed" + (" and stopped" if bad else "") if followed else ""
        results.append(
            _score("bare_instruction", item.name, prompt, written, control, _Outcome(followed, not bad, detail))
        )
    return results


def _run_prompt_formats(
    engine: TextEngine, rng: random.Random, control: frozenset[int]
) -> dict[str, list[_ScoredResult]]:
    """Run instructions in the prompt formats that tuned weights expect, that of ctai among them."""
    items = {item.text: item for _ in range(_PROMPT_FORMAT_DRAWS) for item in bare_instructions(rng)}.values()
    prompts = [
        (item, form, text) for item in items for form, text in CompletionStylePrompts.prompt_formats(item.text).items()
    ]
    results: dict[str, list[_ScoredResult]] = {form: [] for _, form, _ in prompts}
    completions = engine.generate([prompt for *_, prompt in prompts], _ANSWER)
    for (item, form, prompt), written in zip(prompts, completions, strict=True):
        followed, stopped = item.is_fulfilled(written.raw), _stopped(written)
        detail = f"{'followed' if followed else 'not followed'}{' and stopped' if stopped else ''}"
        results[form].append(
            _score("prompt_format", item.name, prompt, written, control, _Outcome(followed, not stopped, detail))
        )
    return results


def _format_rates(form: str, results: Sequence[_ScoredResult]) -> PromptFormatRates:
    answered = [item for item in results if item.result.response.strip()]
    return PromptFormatRates(
        form=form,
        followed=_rate([item.success for item in results]),
        stopped=_rate([item.stopped for item in answered]),
    )


def _run_ends(engine: TextEngine, rng: random.Random, control: Sequence[int]) -> list[SentinelResult]:
    """Measure the probability of a chat-control token after finished texts: statements and answers."""
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
    """Score of one answer: correctness, whether that is the behaviour of a base model, and an explanation."""

    success: bool
    passed: bool
    detail: str


def _score(
    kind: Literal["completion", "bare_instruction", "prompt_format"],
    name: str,
    prompt: str,
    written: Completion,
    control: frozenset[int],
    outcome: _Outcome,
) -> _ScoredResult:
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
    return _ScoredResult(result, success, _stopped(written), wrote)


def _stopped(written: Completion) -> bool:
    """Return whether the model wrote an answer and ended the text itself, with nothing after the answer."""
    text = written.raw.strip()
    return bool(text) and written.finish_reason == "eos" and CompletionStylePrompts.clean_response(written.raw) == text


def _rate(outcomes: Sequence[bool]) -> Rate:
    return rate(sum(outcomes), len(outcomes))
