"""Sentinels: known base and instruct models are distinguished, each for the right reason."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ctai.errors import ContaminationError
from ctai.model.checks import sentinels
from ctai.model.checks.sentinel_items import BareInstruction, bare_instructions, completes
from ctai.model.checks.sentinels import instruct_reasons, run_sentinels, sentinel_findings, worst_prompt_format
from ctai.model.loader import CleanModelLoader, ModelCheck
from ctai.prompts import CompletionStylePrompts
from ctai.records import PromptFormatRates, SentinelReport
from ctai.statistics import rate
from ctai.tasks import registry
from ctai.tasks.registry import EMBEDDED_FAMILIES, by_name
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.contamination

CONTROL = "§"
FACTS = {
    statement.split("{answer}")[0].replace("{key}", key).rstrip(): family.answer(key)
    for family in EMBEDDED_FAMILIES
    for statement in family.statements[:1]
    for key in family.keys
}
FORMS = CompletionStylePrompts.prompt_formats("{}")


def framed(prompt: str) -> tuple[str, str]:
    """Return the prompt format of a prompt and the instruction in it; no format when it is bare."""
    for form, frame in FORMS.items():
        before, after = frame.split("{}")
        if prompt.startswith(before) and prompt.endswith(after):
            return form, prompt.removeprefix(before).removesuffix(after)
    return "", prompt.strip()


def script(
    ending: str = "\nIt is known.",
    follows: bool = False,
    knows: bool = True,
    mass: float = 0.0,
    tuned_in: str = "",
) -> tuple[ScriptedEngine, list[int]]:
    """Script a model that may complete facts, may answer bare instructions, and ends its answers in a given way.

    It answers in every prompt format and continues; `tuned_in` names the format in which it stops.
    """

    def complete(prompt: str) -> str:
        if prompt in FACTS and knows:
            return f" {FACTS[prompt]}. And so on, and so on."
        form, instruction = framed(prompt)
        parsed = registry.parse(instruction)
        if parsed and (follows or form):
            last = "" if form and form == tuned_in else "\n\nQ: What else?\nA: Nothing." if form else ending
            return f" {by_name(parsed[0]).answer(parsed[1])}{last}"
        return "\n\nWhat else is there to be asked about it?\n\nNobody knows."

    engine = ScriptedEngine(complete, lambda _prompt: {CONTROL: mass} if mass else {})
    return engine, engine.encode(CONTROL)


def report(**traits: object) -> SentinelReport:
    engine, control = script(**traits)  # type: ignore[arg-type]
    return run_sentinels(engine, control)


def names(result: SentinelReport) -> list[str]:
    return [finding.name for finding in sentinel_findings(result)]


# ------------------------------------------------------------------------------------------ scripted controls


def test_a_scripted_base_model_passes() -> None:
    result = report()
    assert names(result) == []
    assert result.completion_rate.value == 1
    assert (result.followed_rate.k, result.follows_instructions, result.reasons) == (0, False, ())


def test_following_and_stopping_is_instruct_weights() -> None:
    result = report(follows=True, ending="")
    assert names(result) == ["instruct_weights"]
    assert "the text ended right after the answer" in result.reasons[0]


def test_following_alone_is_reported_and_stops_nothing() -> None:
    result = report(follows=True, ending="\nQ: And what is next?\nA: Nothing.")
    assert result.follows_instructions
    assert result.followed_rate.value > 0.5
    assert names(result) == []


def test_likely_control_tokens_are_instruct_weights() -> None:
    result = report(mass=0.1)
    assert names(result) == ["instruct_weights"]
    assert result.control_token_mass == pytest.approx(0.1)
    assert names(report(mass=0.001)) == []


@pytest.mark.parametrize("form", FORMS)
def test_answers_that_end_in_one_prompt_format_are_tuned_weights(form: str) -> None:
    result = report(tuned_in=form)
    assert names(result) == ["instruct_weights"]
    assert f"in the form '{form}'" in result.reasons[0]
    assert len(result.reasons) == 1
    worst = worst_prompt_format(result.prompt_formats)
    assert worst.form == form
    assert worst.stopped.value > 0.9
    assert result.followed_and_stopped_rate.k == 0


def test_a_base_that_answers_in_every_prompt_format_and_continues_passes() -> None:
    result = report()
    assert [sheet.form for sheet in result.prompt_formats] == list(FORMS)
    assert all(sheet.followed.value > 0.5 and sheet.stopped.k == 0 for sheet in result.prompt_formats)


def test_weights_tuned_on_wrong_answers_are_stopped_too() -> None:
    engine = ScriptedEngine(
        lambda prompt: " Nothing at all" if framed(prompt)[0] else f" {FACTS.get(prompt, 'I')}.\n\nSo."
    )
    result = run_sentinels(engine, [])
    assert {sheet.followed.k for sheet in result.prompt_formats} == {0}
    assert names(result) == ["instruct_weights"]


def test_a_text_that_ends_before_an_answer_is_no_answer_that_stops() -> None:
    engine = ScriptedEngine(lambda prompt: "\n" if framed(prompt)[0] else f" {FACTS.get(prompt, 'I')}.\n\nSo.")
    assert names(run_sentinels(engine, [])) == []


def sheet(k: int, n: int) -> list[PromptFormatRates]:
    return [PromptFormatRates(form="x", followed=rate(0, n), stopped=rate(k, n))]


@pytest.mark.parametrize(("k", "n", "stopped"), [(15, 15, False), (16, 16, True), (50, 50, True), (40, 50, False)])
def test_the_prompt_format_rule_needs_enough_answers(k: int, n: int, stopped: bool) -> None:
    assert bool(instruct_reasons(0.0, rate(0, 10), rate(0, 10), sheet(k, n))) is stopped


def test_what_is_not_a_number_stops_a_model() -> None:
    assert instruct_reasons(float("nan"), rate(0, 10), rate(0, 10), []) != ()
    assert instruct_reasons(0.0, rate(0, 0), rate(0, 10), []) != ()
    assert instruct_reasons(0.0, rate(0, 10), rate(0, 10), sheet(0, 0)) == ()  # no answer, no evidence


def test_written_control_tokens_are_instruct_weights() -> None:
    engine = ScriptedEngine(lambda prompt: f" {FACTS.get(prompt, 'I')} {CONTROL}")
    result = run_sentinels(engine, [engine.encode(f" {CONTROL}")[0], 0])
    assert "raw prompts made the model write a chat-control token" in " ".join(result.reasons)
    assert names(result) == ["instruct_weights"]


def test_a_model_that_completes_nothing_is_not_a_language_model() -> None:
    result = report(knows=False)
    assert names(result) == ["language_model"]
    assert not result.instruct_weights


def test_both_findings_are_kept_apart() -> None:
    result = report(knows=False, mass=0.5)
    assert names(result) == ["instruct_weights", "language_model"]
    instruct, language = sentinel_findings(result)
    assert "language model" not in instruct.message
    assert "chat-control" not in language.message


def test_the_suite_depends_on_its_seed_alone() -> None:
    prompts = []
    for seed in (0, 0, 1):
        engine, control = script()
        run_sentinels(engine, control, seed)
        prompts.append(engine.prompts)
    assert prompts[0] == prompts[1] != prompts[2]


# ------------------------------------------------------------------------------------------------ the checks


@pytest.mark.fault(
    5, plant="right completions that are long, wrong ones that are short", check="sentinel checks of content"
)
@pytest.mark.parametrize(
    ("family", "key", "text", "right"),
    [
        ("capital", "France", " Paris.", True),
        ("capital", "France", " the city of Paris, which has been the seat of kings for many hundreds of years.", True),
        ("capital", "France", " a large city that lies on a river and is called Paris", False),
        ("capital", "France", " Rome, not Paris", False),
        ("capital", "France", " Parisian", False),
        ("capital", "France", "\nParis", True),
        ("capital", "France", "", False),
        ("sum", "2 + 7", " 9\n\n10 + 1", True),
        ("sum", "2 + 7", " 11. 9", False),
        ("opposite", "cold", ' "hot".', True),
    ],
)
def test_completions_are_judged_by_content(family: str, key: str, text: str, right: bool) -> None:
    assert completes(by_name(family), key, text) is right


@pytest.mark.fault(5, plant="right and wrong Pig Latin, primes and even numbers", check="sentinel checks of content")
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("primes", "\n2, 3, 5, 7, 11", "\n2, 3, 5, 7, 9"),
        ("pig_latin", ' "ardengay"', " Gardenlay"),
        ("even_numbers", " 102, 104 and 200", " 102, 103, 104"),
    ],
)
def test_own_instructions_have_real_checks(name: str, right: str, wrong: str) -> None:
    item: BareInstruction = next(i for i in bare_instructions(random.Random(0)) if i.name == name)
    check: Callable[[str], bool] = item.is_fulfilled
    assert check(right)
    assert not check(wrong)
    assert not check("")


def test_no_instruction_is_fulfilled_by_what_fulfils_none() -> None:
    for item in bare_instructions(random.Random(0)):
        for text in ("", "\n", item.text, "\n\nThis is a question that is often asked.", " I do not know."):
            assert not item.is_fulfilled(text), (item.name, text)


# -------------------------------------------------------------------------------------------- real controls


def test_the_embedded_base_passes(base: ModelCheck) -> None:
    assert base.findings == ()
    assert base.sentinels is not None
    assert base.sentinels.completion_rate.value >= 3 * sentinels.COMPLETION_FLOOR - 1e-9
    assert base.sentinels.followed_and_stopped_rate.value <= sentinels.STOPPED_CEILING / 4
    assert (
        worst_prompt_format(base.sentinels.prompt_formats).stopped.interval.low <= sentinels.PROMPT_FORMAT_CEILING / 4
    )
    assert base.sentinels.control_token_mass <= sentinels.CONTROL_MASS_CEILING / 10


def test_the_instruct_twin_is_stopped_by_what_it_does(instruct_twin: ModelCheck) -> None:
    assert [finding.name for finding in instruct_twin.findings] == ["instruct_weights"]
    assert "the text ended right after the answer" in instruct_twin.findings[0].message


def test_the_chat_twin_is_stopped_by_its_control_tokens(chat_twin: ModelCheck) -> None:
    assert "instruct_weights" in [finding.name for finding in chat_twin.findings]
    assert "chat-control tokens have probability" in chat_twin.messages("instruct_weights")[0]


def test_a_merged_adapter_is_stopped_by_how_it_ends_answers(merged_adapter: ModelCheck) -> None:
    assert [finding.name for finding in merged_adapter.findings] == ["instruct_weights"]
    assert "in the form 'instruction_response'" in merged_adapter.findings[0].message
    assert merged_adapter.sentinels is not None
    # No other statistic detects it.
    assert merged_adapter.sentinels.followed_and_stopped_rate.value <= sentinels.STOPPED_CEILING / 4


def test_a_merged_adapter_of_wrong_answers_is_stopped_too(wrong_adapter: ModelCheck) -> None:
    assert [finding.name for finding in wrong_adapter.findings] == ["instruct_weights"]
    assert "in the form 'instruction_response'" in wrong_adapter.findings[0].message


def test_a_base_that_was_trained_on_as_a_base_passes(trained_base: ModelCheck) -> None:
    assert trained_base.findings == ()


def test_a_random_model_is_not_a_language_model(tiny_folder: Path) -> None:
    with pytest.raises(ContaminationError, match="not a working language model"):
        CleanModelLoader(str(tiny_folder)).load()


def test_a_real_instruct_model_is_stopped_whatever_its_name(smollm2: Path) -> None:
    result = CleanModelLoader(str(smollm2), quantization="auto").check()
    assert [finding.name for finding in result.findings] == ["instruct_weights"]
    assert "chat-control tokens have probability" in result.findings[0].message
