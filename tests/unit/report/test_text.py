"""Escaping and formatting of the report: no text of a model can leave its element or hide a character."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.report import text
from tests.support.html_report import fragment, text_of

pytestmark = pytest.mark.unit


ANY_TEXT = st.text(st.characters())  # surrogates included


@given(ANY_TEXT)
def test_shown_text_is_the_text_with_labels_for_what_is_hidden(value):
    markup = text.to_markup(value)
    markup.encode("utf-8")
    assert not any(text.is_hidden(character) for character in markup)
    read = []
    tree = fragment(markup)
    assert {child.tag for child in tree} <= {"span"}
    read.append(tree.text or "")
    for span in tree:
        assert span.get("class") == "hidden-character"
        code, _, times = (span.text or "").partition(" ×")
        read += [chr(int(code.removeprefix("U+"), 16)) * int(times or 1), span.tail or ""]
    assert "".join(read) == value


@given(ANY_TEXT)
def test_plain_text_hides_nothing_and_can_be_sent(value):
    words = text.to_plain_text(value, 10_000)
    words.encode("utf-8")
    assert not any(text.is_hidden(character) for character in words)


def test_long_text_is_cut_with_a_note():
    assert text_of(fragment(text.to_markup("x" * 700, 100))) == "x" * 100 + "… 600 more characters"
    assert text.to_plain_text("x" * 700, 100) == "x" * 100 + "… 600 more characters"
    assert text.to_markup("x" * 100, 100) == "x" * 100


def test_runs_of_hidden_characters_are_counted():
    assert text_of(fragment(text.to_markup("a\x00\x00\x00\u202eb"))) == "aU+0000 ×3U+202Eb"


def test_ends_of_lines_are_signs_in_tight_places():
    assert text_of(fragment(text.to_inline_markup(" a\nb\n"))) == "a↵ b"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1209, "1,209"), (0.0, "0"), (0.58285, "0.583"), (-0.5257, "−0.526"), (2.58e-32, "2.58 × 10⁻³²"),
        (16.81, "16.81"), (123.456, "123.5"), (math.nan, "not a number"), (-math.inf, "−infinite"), (1e300, "1.00 × 10³⁰⁰"),
    ],
)  # fmt: skip
def test_numbers(value, words):
    assert text.format_number(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.2, "0.2"), (1000, "1,000"), (0.05, "0.05"), (1e-8, "1 × 10⁻⁸"), (100, "100")]
)
def test_short_numbers(value, words):
    assert text.format_short(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.41, "3.4 s"), (42, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds, words):
    assert text.format_duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == words
