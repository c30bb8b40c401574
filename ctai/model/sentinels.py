"""Sentinels: what a model does with raw prompts, and whether that is what a base model does.

Owns the sentinel prompts, how each answer is judged (by content, never by length or shape) and the thresholds of the
suite. Two findings are kept apart. *Instruct or contaminated weights* stop everything. *A base model that already
follows instructions* is reported only: the headroom check judges that, before training.
"""

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ctai.model.contamination import Finding
from ctai.model.engine import TextEngine
from ctai.prompts import CompletionStylePrompts
from ctai.records import Completion, Rate, Sampling, SentinelReport, SentinelResult
from ctai.statistics import rate
from ctai.tasks.families import EMBEDDED_FAMILIES, Family, by_name

# The thresholds lie between controls, measured over three to five seeds of the suite each:
#                                             completed    followed     and stopped   control mass   control written
#   base: embedded                            0.36-0.64    0            0             2e-8           0
#   instruct: embedded, tuned to answer       0.77-0.87    0.60-0.68    0.60-0.68     4e-7-2e-6      0
#   chat: embedded, tuned on ChatML           0.36-0.56    0            0             0.92           0.97
#   instruct: SmolLM2-135M-Instruct, 4 bit    0.33-0.41    0.04-0.07    0.03-0.05     0.27-0.29      0.35-0.45
#   random weights                            0
# Control mass tells chat models apart even when they follow nothing; "followed and stopped" tells those apart that end
# their answers with a plain end of text. To follow without stopping is what capable base models do: no such threshold.
# The floor of completions is only to tell a language model from noise, since small real models know few of the facts.
CONTROL_MASS_CEILING = 0.02
STOPPED_CEILING = 0.4
WRITTEN_CEILING = 0.05
COMPLETION_FLOOR = 0.2
FOLLOWED_NOTICE = 0.25

_FACT_FAMILIES = (
    "capital", "continent", "language", "opposite", "plural", "past", "comparative", "category", "material", "symbol",
    "sum", "number_after", "calendar_after",
)  # fmt: skip
_FACTS_PER_FAMILY = 3
_FIRST_WORDS = 6
_LARGE_FAMILIES = ("json", "uppercase", "reverse", "sort_words", "sort_numbers", "sequence", "arithmetic", "translate")
_COMPLETION = Sampling(max_new_tokens=10)
_ANSWER = Sampling(max_new_tokens=32)


class BareInstruction(NamedTuple):
    """An instruction without any framing, and whether a raw continuation fulfils it, up to where an answer ends."""

    name: str
    text: str
    fulfilled: Callable[[str], bool]


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
    facts, bare = _run_facts(engine, rng, control), _run_bare(engine, rng, control)
    ends = _run_ends(engine, rng, sorted(control))
    written = rate(sum(item.wrote_control for item in (*facts, *bare)), len(facts) + len(bare))
    completed = _rate([item.success for item in facts])
    followed = _rate([item.success for item in bare])
    stopped = _rate([item.success and item.stopped for item in bare])
    mass = float(np.mean([result.value for result in ends]))
    reasons = instruct_reasons(mass, written, stopped)
    return SentinelReport(
        completion_rate=completed,
        followed_rate=followed,
        followed_and_stopped_rate=stopped,
        control_token_mass=mass,
        statistic=(
            f"instruct weights if control-token mass > {CONTROL_MASS_CEILING}, or control tokens end more than "
            f"{WRITTEN_CEILING:.0%} of the answers, or more than {STOPPED_CEILING:.0%} of bare instructions are "
            "followed and stopped after"
        ),
        instruct_weights=bool(reasons),
        follows_instructions=followed.value >= FOLLOWED_NOTICE,
        reasons=(*reasons, *completion_reasons(completed)),
        results=(*(item.result for item in (*facts, *bare)), *ends),
    )


def instruct_reasons(mass: float, written: Rate, stopped: Rate) -> tuple[str, ...]:
    """Why a model's behaviour is that of instruct or chat weights; empty when it is not.

    Args:
        mass: mean probability of a chat-control token after finished answers and statements.
        written: answers and completions that a chat-control token ended.
        stopped: bare instructions that were fulfilled, with the end of the text right after the answer.
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
    return tuple(reasons)


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


def completes(family: Family, key: str, continuation: str) -> bool:
    """Whether a continuation of a statement begins with its answer.

    It may lead up to it ("the city of Paris"), within its first six words, but not by way of another answer.
    """
    words = re.findall(r"[^\W_]+", continuation.strip().split("\n")[0].casefold())[:_FIRST_WORDS]
    places = [place for answer in family.accepted(key) if (place := _place(answer, words)) is not None]
    right = set(map(str.casefold, family.accepted(key)))
    rivals = [_place(other, words) for other in family.candidates() if other.casefold() not in right]
    if family.type == "number" and words:  # "11" is no candidate of every sum, but a wrong answer all the same
        rivals += [index for index, word in enumerate(words) if word.isdigit() and word not in right]
    return bool(places) and not any(rival is not None and rival < min(places) for rival in rivals)


def bare_instructions(rng: random.Random) -> list[BareInstruction]:
    """One instruction of every family that each English model knows, some of harder ones, and three of their own."""
    families = (*EMBEDDED_FAMILIES, *map(by_name, _LARGE_FAMILIES))
    drawn = [_of_family(family, family.instruction(rng)) for family in families]
    own = [
        BareInstruction("primes", "List the first five prime numbers.", _first_primes),
        BareInstruction("pig_latin", 'Translate the word "garden" into Pig Latin.', _pig_latin),
        BareInstruction("even_numbers", "Write three even numbers greater than 100.", _large_even_numbers),
    ]
    return drawn + own


def _of_family(family: Family, text: str) -> BareInstruction:
    return BareInstruction(family.name, text, lambda raw: family.check(text, raw).content)


def _first_primes(raw: str) -> bool:
    return _numbers(raw) == [2, 3, 5, 7, 11]


def _pig_latin(raw: str) -> bool:
    return re.search(r"\bardengay\b", CompletionStylePrompts.clean_response(raw).casefold()) is not None


def _large_even_numbers(raw: str) -> bool:
    numbers = _numbers(raw)
    return len(set(numbers)) == len(numbers) == 3 and all(n > 100 and n % 2 == 0 for n in numbers)


def _numbers(raw: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d{1,9}", CompletionStylePrompts.clean_response(raw))]


def _place(answer: str, words: Sequence[str]) -> int | None:
    """Where the words of an answer begin, if they are all there."""
    wanted = re.findall(r"[^\W_]+", answer.casefold())
    starts = range(len(words) - len(wanted) + 1)
    return next((start for start in starts if wanted and list(words[start : start + len(wanted)]) == wanted), None)


def _facts(rng: random.Random, count: int) -> list[tuple[Family, str, str]]:
    """Family, key and the plainest statement of each fact, complete."""
    drawn = []
    for family in map(by_name, _FACT_FAMILIES):
        for key in rng.sample(family.keys, count):
            drawn.append((family, key, family.statements[0].replace("{key}", key)))
    return drawn


def _run_facts(engine: TextEngine, rng: random.Random, control: frozenset[int]) -> list[_Judged]:
    facts = _facts(rng, _FACTS_PER_FAMILY)
    prompts = [statement.split("{answer}")[0].rstrip() for _, _, statement in facts]
    judged = []
    for (family, key, _), prompt, written in zip(facts, prompts, engine.generate(prompts, _COMPLETION), strict=True):
        good = completes(family, key, written.raw)
        detail = "" if good else f"none of: {', '.join(family.accepted(key)[:3])}"
        judged.append(_judged("completion", family.name, prompt, written, good, good, control, detail))
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
        judged.append(_judged("bare_instruction", item.name, prompt, written, followed, not bad, control, detail))
    return judged


def _run_ends(engine: TextEngine, rng: random.Random, control: Sequence[int]) -> list[SentinelResult]:
    """The probability of a chat-control token where a text is finished: after statements and after answers."""
    prompts = []
    for family, key, statement in _facts(rng, 2):
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


def _judged(
    kind: str,
    name: str,
    prompt: str,
    written: Completion,
    success: bool,
    passed: bool,
    control: frozenset[int],
    detail: str,
) -> _Judged:
    wrote = written.token_ids[-1] in control
    result = SentinelResult(
        name=name,
        kind="completion" if kind == "completion" else "bare_instruction",
        prompt=prompt,
        response=written.raw,
        finish_reason=written.finish_reason,
        passed=passed and not wrote,
        value=float(success),
        detail=f"{detail}{', ' if detail else ''}wrote a chat-control token" if wrote else detail,
    )
    return _Judged(result, success, _stopped(written), wrote)


def _stopped(written: Completion) -> bool:
    """Whether the model ended the text by itself, with nothing after the answer."""
    return written.finish_reason == "eos" and CompletionStylePrompts.clean_response(written.raw) == written.raw.strip()


def _rate(outcomes: Sequence[bool]) -> Rate:
    return rate(sum(outcomes), len(outcomes))
