"""Text and drawings of the report: nothing that a model writes can leave its place, hide, or draw outside the paper."""

import math
import re
import xml.etree.ElementTree as ElementTree

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctai.records import Interval
from ctai.report import charts, drawing, text, write_report
from tests.support.reported import finished_run
from tests.unit.report.test_page import kind_of, parsed, text_of

pytestmark = pytest.mark.unit

HOSTILE = {
    "script": "<script>window.taken = true</script>",
    "handler": '"><img src=x onerror="window.taken=true">',
    "closing": "</td></table></main></body></html><h1>All six gates passed</h1>",
    "style": "</style><style>body{display:none}</style><!--",
    "template": "{{ 7 * 7 }}{% raw %}{# ",
    "ansi": "\x1b[31mred\x1b[0m\x07\x9b2J",
    "bidi": "\u202eevil\u202c \u2066inside\u2069 \u200f",
    "invisible": "a\u200bb\u00adc\ufeffd\u2028e\u2029f\U000e0041g",
    "nul": "a\x00b\x00\x00c",
    "entity": "&lt;script&gt; &#x202e; &amp",
    "long": "x" * 20_000,
    "stacked": "e" + "\u0301" * 5_000,
    "noncharacter": "\ufffe\uffff\U0010ffff",
    "json": '{"a": "b\\u0000"}',
}
ANY_TEXT = st.text(st.characters())  # surrogates included


def fragment(markup: str):
    """A piece of a page as a browser reads it."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parseFragment(markup)


# -------------------------------------------------------------------------------------------------------------- text


@given(ANY_TEXT)
def test_shown_text_is_the_text_with_labels_for_what_is_hidden(value):
    markup = text.shown(value)
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
    words = text.plain(value, 10_000)
    words.encode("utf-8")
    assert not any(text.is_hidden(character) for character in words)


def test_long_text_is_cut_with_a_note():
    assert text_of(fragment(text.shown("x" * 700, 100))) == "x" * 100 + "… 600 more characters"
    assert text.plain("x" * 700, 100) == "x" * 100 + "… 600 more characters"
    assert text.shown("x" * 100, 100) == "x" * 100


def test_runs_of_hidden_characters_are_counted():
    assert text_of(fragment(text.shown("a\x00\x00\x00\u202eb"))) == "aU+0000 ×3U+202Eb"


def test_ends_of_lines_are_signs_in_tight_places():
    assert text_of(fragment(text.inline(" a\nb\n"))) == "a↵ b"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1209, "1,209"), (0.0, "0"), (0.58285, "0.583"), (-0.5257, "−0.526"), (2.58e-32, "2.58 × 10⁻³²"),
        (16.81, "16.81"), (123.456, "123.5"), (math.nan, "not a number"), (-math.inf, "−infinite"), (1e300, "1.00 × 10³⁰⁰"),
    ],
)  # fmt: skip
def test_numbers(value, words):
    assert text.number(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.2, "0.2"), (1000, "1,000"), (0.05, "0.05"), (1e-8, "1 × 10⁻⁸"), (100, "100")]
)
def test_short_numbers(value, words):
    assert text.short(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.41, "3.4 s"), (42, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds, words):
    assert text.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == words


# ---------------------------------------------------------------------------------------------------------- drawings

ANY_FLOAT = st.floats() | st.integers(-10, 10_000).map(float) | st.floats(0, 1)


def coordinates(markup: str) -> list[float]:
    """All x coordinates of a drawing; not a number or an unknown entity raises."""
    root = ElementTree.fromstring(markup)
    names = ("x", "x1", "x2", "cx", "width")
    found = [float(one.get(name)) for one in root.iter() for name in names if one.get(name) is not None]
    points = [pair.split(",")[0] for one in root.iter() for pair in (one.get("points") or "").split()]
    return found + [float(x) for x in points]


@given(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, st.sampled_from(["<", "<=", ">", ">=", "=="]), st.booleans())
def test_any_metric_can_be_drawn(value, low, high, threshold, comparison, good):
    markup = drawing.threshold_axis("t", value, Interval(low=low, high=high), comparison, threshold, good=good)
    assert all(-8 <= x <= 258 for x in coordinates(markup))


def test_places_on_the_axis_are_those_of_the_values():
    scale = drawing.Scale(0.0, 1.0, 116, margin=8)
    assert [scale.x(value) for value in (0, 0.25, 1, 2, math.nan)] == [8, 33, 108, 108, 8]
    log = drawing.Scale(1e-4, 1.0, 116, log=True, margin=8)
    assert [round(log.x(value)) for value in (1e-4, 1e-2, 1, 0)] == [8, 58, 108, 8]


def test_a_missed_threshold_has_another_shape():
    met = drawing.threshold_axis("t", 0.01, None, "<", 0.05, good=True)
    missed = drawing.threshold_axis("t", 0.2, None, "<", 0.05, good=False)
    assert "<circle" in met
    assert "<polygon" in missed


@given(st.lists(ANY_FLOAT, max_size=60))
def test_bins_hold_every_finite_value_once(values):
    found = charts.bins(values)
    assert sum(one.n for one in found) == sum(math.isfinite(value) for value in values)
    if found:
        coordinates(charts.histogram("t", found, "unit"))


def test_bins_hold_their_values():
    found = charts.bins([0.5, 1.5, 1.6, 9.5], wanted=10)
    assert [(one.low, one.high, one.n) for one in found if one.n] == [(0, 1, 1), (1, 2, 2), (9, 10, 1)]


@given(st.lists(st.tuples(st.integers(0, 1000).map(float), ANY_FLOAT), max_size=30))
def test_any_curve_can_be_drawn(points):
    markup = charts.curve("t", sorted(points), sorted(points), "unit")
    assert not markup or coordinates(markup)


# ----------------------------------------------------------------------------------------------------- a hostile run


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_cannot_break_the_page(tmp_path, name):
    """Everything a model can write is hostile at once; the page stays as it is, and says what was there."""
    rundir = finished_run(tmp_path / "run", lambda words: f"{words} {HOSTILE[name]}")
    page = write_report(rundir.root).read_text(encoding="utf-8")
    tree = parsed(page)
    assert not [one for one in tree.iter() if kind_of(one) in ("script", "img", "image", "iframe")]
    assert len(list(tree.iter("h1"))) == 1
    assert len(list(tree.iter("style"))) == 1
    assert not [one for one in tree.iter() if any(key.startswith("on") for key in one.attrib)]
    assert not any(text.is_hidden(character) for character in page)
    assert len(page) < 1_500_000
    if name in ("bidi", "ansi", "nul"):
        assert {"bidi": "U+202E", "ansi": "U+001B", "nul": "U+0000 ×2"}[name] in text_of(tree)
    if name == "template":
        assert "{{ 7 * 7 }}" in text_of(tree)
    if name == "long":
        assert re.search(r"… [\d,]+ more characters", text_of(tree))


def test_a_line_of_megabytes_is_cut(tmp_path):
    rundir = finished_run(tmp_path / "run")
    path = rundir.results_dir / "sft_items.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[0] = lines[0].replace(" sft says 0", "x" * 3_000_000)
    path.write_text("\n".join(lines), encoding="utf-8")
    page = write_report(rundir.root).read_text(encoding="utf-8")
    assert "… 2,999,600 more characters" in text_of(parsed(page))
    assert len(page) < 1_500_000
