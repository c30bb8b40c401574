"""Prompt framing, the reading of numbered lists, and the cleaning of responses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.prompts import DELIMITER, CompletionStylePrompts, LabelledInstruction, LabelledPair, Pair

pytestmark = pytest.mark.unit
prompts = CompletionStylePrompts


def test_training_text_is_prompt_and_completion_without_delimiter():
    text = prompts.zero_shot("Name a fruit.") + prompts.completion("apple")
    assert text == "Instruction: Name a fruit.\nResponse: apple"
    assert DELIMITER not in text


def test_response_prompt_shows_examples_and_ends_open():
    text = prompts.response_prompt("Name a fruit.", [Pair("Name a metal.", "iron")])
    assert text == ("Instruction: Name a metal.\nResponse: iron\n###END###\n\nInstruction: Name a fruit.\nResponse:")
    assert text.startswith(prompts.few_shot_prefix([Pair("Name a metal.", "iron")]))


def test_instruction_prompt_ends_mid_list():
    text = prompts.instruction_prompt(["Name a fruit.", "Name a metal."], topic="things")
    assert text.startswith("Topic: things\n")
    assert text.endswith("1. Name a fruit.\n2. Name a metal.\n3.")


def test_critic_prompts_end_at_the_label_and_begin_with_their_prefix():
    worked = [LabelledPair("Name a fruit.", "apple", "A"), LabelledPair("Name a fruit.", "iron", "B")]
    text = prompts.pair_critic("Name a metal.", "iron", worked)
    assert text.startswith(prompts.pair_critic_prefix(worked))
    assert text.endswith("INSTRUCTION: Name a metal.\nRESPONSE: iron\nLabel:")
    assert text.count("Label: A") == 1
    assert text.count("Label: B") == 1
    single = prompts.instruction_critic("Name a metal.", [LabelledInstruction("Do it.", "B")])
    assert single.endswith("INSTRUCTION: Do it.\nLabel: B\n\nINSTRUCTION: Name a metal.\nLabel:")


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (" Paris\n###END###\n\nInstruction: more", "Paris"),
        (" Paris\n\nInstruction: What is", "Paris"),
        (" Paris\nInstruction: What is", "Paris"),
        (" Paris\n  Q: What is", "Paris"),
        (" Paris\r\n\r\nmore", "Paris"),
        ("\n\n Paris", "Paris"),
        ("", ""),
        (" one:\ntwo: Q and A\nthree", "one:\ntwo: Q and A\nthree"),
        (" He said: Instruction: stay", "He said: Instruction: stay"),
        (" 7", "7"),
        ("\nInstruction: Name a fruit.\nResponse: apple", ""),
        ("\n\n Q: What is it?\n###END###", ""),
        ("User: hello", ""),
        ("\nA: Paris", "A: Paris"),
        ("\nResponse: Paris", "Response: Paris"),
        (" Instruction manuals: two", "Instruction manuals: two"),
    ],
)
def test_cleaning(raw, cleaned):
    assert prompts.clean_response(raw) == cleaned


@given(st.text())
def test_cleaning_never_adds_text_and_settles(raw):
    once = prompts.clean_response(raw)
    assert once in raw.replace("\r\n", "\n")
    assert prompts.clean_response(once) == once
    assert DELIMITER not in once


def test_numbered_lines_are_read_and_meta_lines_dropped():
    raw = (
        " Name a fruit.\n7. Name  a metal.\n8) What is 2 + 2?\nHere are more instructions:\n"
        "9. Instructions:\n10. \n11. x\n\n12. y"
    )
    assert prompts.parse_instructions(raw) == ["Name a fruit.", "Name a metal.", "What is 2 + 2?", "x"]


def test_the_last_line_of_a_cut_text_is_dropped():
    raw = " Name a fruit.\n7. Name a met"
    assert prompts.parse_instructions(raw, complete=False) == ["Name a fruit."]
    assert prompts.parse_instructions(raw) == ["Name a fruit.", "Name a met"]


def test_a_line_of_a_megabyte_is_no_instruction():
    assert prompts.parse_instructions(" " + "x" * 1_000_000) == []


@given(st.lists(st.from_regex(r"[A-Z][a-z]{2,8} [a-z]{2,8}\.", fullmatch=True), min_size=1, max_size=8))
def test_what_a_list_prompt_writes_it_can_read(items):
    items = [item for item in items if not item.startswith(("Here", "Note", "More", "Other", "Some", "End"))]
    raw = "".join(f"{i}. {item}\n" for i, item in enumerate(items, start=1))
    assert prompts.parse_instructions(raw) == items
