"""Acceptance and card of the embedded model: outcomes of criteria, tables, and the forms of the metrics."""

import re

import pytest

from scripts.build_embedded import card
from scripts.build_embedded.acceptance import REQUIRED, TARGETS, Criterion, misses
from scripts.build_embedded.measure.generation import (
    ASKED,
    HELDOUT_KEY,
    NEW_WORDING,
    OTHER,
    UNSEEN_FAMILY,
    distinct,
    measure_instructions,
    novelty,
)
from scripts.build_embedded.measure.knowledge import draw_test_set, measure_test_set
from scripts.build_embedded.measure.rates import by_group, classifier, difference, share

pytestmark = pytest.mark.unit

FACTS = Criterion("facts completed", "rate", ">=", 0.9)
STOPS = Criterion("stops", "low", ">=", 0.95)
METRICS = {"facts completed": share([True] * 80 + [False] * 20), "stops": share([True] * 400)}


@pytest.mark.parametrize(
    ("criterion", "is_met", "outcome"),
    [
        (FACTS, False, "0.8: missed by 0.1"),
        (FACTS._replace(bound=0.8), True, "0.8: met"),
        (FACTS._replace(comparison="<", bound=0.8), False, "0.8: missed by 0"),
        (FACTS._replace(comparison="<=", bound=0.5), False, "0.8: missed by 0.3"),
        (STOPS, True, "0.991: met"),
        (STOPS._replace(metric="lift"), False, "not measured"),
    ],
)
def test_the_outcome_of_a_criterion(criterion, is_met, outcome):
    assert criterion.is_met(METRICS) == is_met
    assert criterion.outcome(METRICS) == outcome


def test_a_miss_is_one_sentence():
    assert misses((FACTS, STOPS), METRICS) == ["facts completed (>= 0.9): 0.8: missed by 0.1"]


def test_a_share_without_items_meets_nothing():
    metrics = {"facts completed": share([])}
    assert misses((FACTS, FACTS._replace(comparison="<=")), metrics) == [
        "facts completed (>= 0.9): not measured",
        "facts completed (<= 0.9): not measured",
    ]


def test_no_two_criteria_contradict_each_other():
    for criterion in (*REQUIRED, *TARGETS):
        assert criterion.field in ("rate", "value", "low", "high")
    upper = {(c.metric, c.field): c.bound for c in TARGETS if c.comparison.startswith("<")}
    lower = {(c.metric, c.field): c.bound for c in TARGETS if c.comparison.startswith(">")}
    assert all(lower[name] < upper[name] for name in lower.keys() & upper.keys())


def test_the_table_of_targets_has_a_column_for_each_precision():
    table = card.target_table((FACTS, STOPS), {"nf4": METRICS, "float32": {}})
    assert table.splitlines() == [
        "| metric | demand | nf4 | float32 |",
        "| --- | --- | --- | --- |",
        "| facts completed | >= 0.9 | 0.8: missed by 0.1 | not measured |",
        "| stops | lower bound >= 0.95 | 0.991: met | not measured |",
    ]


def test_the_card_describes_world_and_measurements(tmp_path):
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    shape = {"layers": 2, "hidden": 8, "vocabulary": 16, "context": 32}
    plan = {"steps": 10, "rows": 2, "seed": 0, "quantized": 0.5, "shape": shape}
    metrics = {**METRICS, "kinds": {"new": 3}, "lift": difference([True, False], [True, True]), "none": share([])}
    card.write_card(tmp_path, card.Origin(plan, "c0ffee"), {"nf4": metrics, "float32": METRICS})
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert not re.search(r"[{}]", text)
    assert "| kinds: new | 3 | - |" in text
    assert "| lift | 0.500 [" in text
    assert "(n 2, 1 won, 0 lost) | - |" in text
    assert "| none | - (n 0) | - |" in text
    assert card.read_origin(tmp_path) == card.Origin(plan, "c0ffee")


def test_a_folder_of_unknown_origin_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="name a folder that a build exported"):
        card.read_origin(tmp_path)


def test_a_classifier_has_both_error_rates_at_the_margin():
    labels, odds = [True, True, False, False], [2.0, 0.5, 1.5, -3.0]
    metrics = classifier("critic", labels, odds, 1.0)
    assert metrics["critic: balanced accuracy"]["rate"] == 0.75
    assert metrics["critic: good ones accepted"]["rate"] == 0.5
    assert metrics["critic: bad ones accepted"]["rate"] == 0.5
    assert metrics["critic: bad among those rejected with confidence"]["count"] == 1


def test_groups_are_sorted():
    assert [(name, cell["count"]) for name, cell in by_group(["b", "a", "b"], [True, False, True]).items()] == [
        ("a", 0),
        ("b", 2),
    ]


def test_the_first_of_equal_instructions_counts_as_distinct():
    texts = ["What is 2 + 2?", "what is  2 + 2?", "Tell me more about it."]
    assert distinct(texts) == [texts[0], texts[2]]
    metrics = measure_instructions(texts)
    assert metrics["instructions distinct"]["count"] == 2
    assert metrics["instruction kinds"][OTHER] == 1


def test_novelty_of_instructions():
    questions = draw_test_set()
    assert novelty(questions["held-out"][0].instruction) == HELDOUT_KEY
    assert novelty(questions["unseen families"][0].instruction) == UNSEEN_FAMILY
    assert {novelty(f"What is {a} + {b}?") for a in range(1, 10) for b in range(1, 10)} >= {ASKED, NEW_WORDING}


def test_the_test_set_meets_its_targets():
    questions = draw_test_set()
    assert len(questions["unseen families"]) >= 300
    metrics = measure_test_set(questions["held-out"])
    assert misses([target for target in TARGETS if target.metric.startswith("test set")], metrics) == []
