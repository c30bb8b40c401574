"""Purity ledger: phases of every record, shares of right pairs, gain by the critics, and no scorer that selects data."""

import ast
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ctai.generate
from ctai.qc.purity import PurityCounter, estimate_unparsed
from ctai.records import BEYOND_TARGET, Example, PurityLedger, QcSummary, Rate, Rejection
from ctai.rundir import read_jsonl, read_record
from ctai.statistics import rate
from ctai.tasks import plugins, registry
from tests.docs.conftest import write_families
from tests.support.generated import CONFIG, WorldModel, critique, example, make_pilot, with_generation

pytestmark = pytest.mark.unit

FAMILIES = registry.EMBEDDED_FAMILIES[:8]
UNPARSED = "Describe the sea to a child."
PHASES = ("generated", "judged", "accepted", "rejected", "kept")


def pair(family: int, key: int, right: bool) -> tuple[str, str]:
    chosen = FAMILIES[family]
    name = chosen.keys[key % len(chosen.keys)]
    return chosen.render(name, 0), chosen.answer(name) if right else "nothing at all"


def rejected(phase: str, reason: str, instruction: str, response: str = "", **update) -> Rejection:
    fields = {"phase": phase, "reason": reason, "instruction": instruction, "response": response, "shard": 0, "item": 0}
    return Rejection.model_validate({**fields, **update})


def bad_pair(instruction: str, response: str) -> Rejection:
    return rejected("pair", "judged bad", instruction, response, finish_reason="stop", critique=critique(-2.0))


def ledger_of(*records: Example | Rejection) -> PurityLedger:
    counter = PurityCounter()
    for record in records:
        counter.keep(record) if isinstance(record, Example) else counter.reject(record)
    return counter.ledger()


def counts(ledger: PurityLedger) -> dict[str, tuple[int, int]]:
    return {phase: (ledger.pairs.phases[phase].k, ledger.pairs.phases[phase].n) for phase in PHASES}


def parsed(ledger: PurityLedger) -> dict[str, tuple[int, int]]:
    return {phase: (share.k, share.n) for phase, share in ledger.instructions.phases.items()}


def test_every_kind_of_record_counts_in_the_phases_that_it_passed():
    instruction, right = pair(0, 0, True)
    done = {"finish_reason": "stop", "critique": critique()}
    ledger = ledger_of(
        example(0, instruction=instruction, response=right),
        rejected("parse", "no instruction in the list", ""),
        rejected("parse", "template", UNPARSED),
        rejected("dedup", "exact", instruction, duplicate_of=instruction),
        rejected("dedup", "near", instruction, right, **done),  # of the merge
        rejected("instruction", "judged bad", UNPARSED, critique=critique(-2.0)),
        rejected("instruction", "too long for the context", UNPARSED),
        rejected("response", "too long for the context", instruction),
        rejected("response", "truncated", instruction, "nothing at all", finish_reason="length"),
        rejected("pair", "too long for the context", instruction, right, finish_reason="stop"),
        rejected("pair", BEYOND_TARGET, instruction, right, **done),
        bad_pair(instruction, "nothing at all"),
        bad_pair(UNPARSED, "It is blue."),
    )
    assert parsed(ledger) == {"generated": (8, 12), "judged": (7, 9), "accepted": (7, 8), "rejected": (0, 1)}
    assert counts(ledger) == {
        "generated": (4, 6), "judged": (3, 4), "accepted": (3, 3), "rejected": (0, 1), "kept": (1, 1),
    }  # fmt: skip
    assert ledger.pairs.unparsed == {"generated": 1, "judged": 1, "accepted": 0, "rejected": 1, "kept": 0}
    assert ledger.pairs.gain.value == pytest.approx(3 / 3 - 3 / 4)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9), st.booleans(), st.booleans()), max_size=60))
def test_judged_pairs_are_the_accepted_and_the_rejected_ones_in_every_family(pairs):
    records = [
        example(i, instruction=text, response=response) if kept else bad_pair(text, response)
        for i, (family, key, right, kept) in enumerate(pairs)
        for text, response in [pair(family, key, right)]
    ]
    ledger = ledger_of(*records)
    rows: list[Mapping[str, Rate]] = [ledger.pairs.phases, *ledger.pairs.by_family.values()]
    for rates in rows:
        for name in ("k", "n"):
            values = {phase: getattr(rates[phase], name) for phase in PHASES}
            assert values["judged"] == values["accepted"] + values["rejected"] == values["generated"]
            assert values["kept"] == values["accepted"]
    assert sum(rates["judged"].n for rates in ledger.pairs.by_family.values()) == len(pairs)
    if ledger.pairs.phases["accepted"].n:
        difference = ledger.pairs.phases["accepted"].value - ledger.pairs.phases["judged"].value
        gain = ledger.pairs.gain
        assert gain.value == pytest.approx(difference, abs=1e-12)
        assert gain.interval.low <= gain.value <= gain.interval.high
    assert PurityLedger.model_validate_json(ledger.model_dump_json()).model_dump_json() == ledger.model_dump_json()


def critic_records(accept_right: float, accept_wrong: float, seed: int = 0, n: int = 800) -> list[Example | Rejection]:
    """Pairs of eight families, four in five right, that a critic of this error accepts or rejects."""
    rng = random.Random(seed)
    records: list[Example | Rejection] = []
    for i in range(n):
        right = rng.random() < 0.8
        text, response = pair(rng.randrange(8), rng.randrange(50), right)
        accepted = rng.random() < (accept_right if right else accept_wrong)
        records.append(example(i, instruction=text, response=response) if accepted else bad_pair(text, response))
    return records


@pytest.mark.parametrize(
    ("accept_right", "accept_wrong", "finding"),
    [
        (0.95, 0.2, "gain"),
        (0.2, 0.95, "loss"),
        (0.7, 0.7, "no gain shown"),
        (1.0, 1.0, "no gain shown"),
        (0.995, 0.99, "no gain shown"),
    ],
)
def test_the_interval_of_the_gain_decides_the_finding(accept_right, accept_wrong, finding):
    ledger = ledger_of(*critic_records(accept_right, accept_wrong))
    assert ledger.pairs.gain.finding == finding
    assert ledger.sentence().endswith(f": {finding}")


def test_the_intervals_over_all_families_are_clustered():
    """All wrong pairs of one family tell less than as many over all families."""
    spread = [pair(i % 8, i // 8, i % 8 != (i // 8) % 8) for i in range(160)]
    lumped = [pair(i % 8, i // 8, i % 8 != 0) for i in range(160)]
    shares = [
        ledger_of(*(example(i, instruction=text, response=response) for i, (text, response) in enumerate(pairs)))
        .pairs.phases["kept"] for pairs in (spread, lumped)
    ]  # fmt: skip
    assert shares[0].k == shares[1].k
    assert [share.clusters for share in shares] == [8, 8]
    assert shares[1].design_effect > 5 > shares[0].design_effect
    assert shares[1].interval.low < shares[0].interval.low - 0.1


def test_nothing_counted_is_unknown_and_no_gain():
    ledger = ledger_of()
    assert ledger.pairs.phases["kept"].n == 0
    assert ledger.pairs.gain.finding == ledger.instructions.gain.finding == "no gain shown"
    assert ledger.sentence() == "purity unknown: no family parses a kept pair"
    assert ledger.pairs.unparsed_estimate.reason == "every judged pair is parsed"


# ------------------------------------------------------------------------------------------------- unparsed pairs


def test_the_acceptance_of_unparsed_pairs_is_corrected_by_the_error_on_parsed_ones():
    estimate = estimate_unparsed(rate(620, 1000), rate(950, 1000), rate(70, 100))
    assert estimate.value == pytest.approx((0.62 + 0.7 - 1) / (0.95 + 0.7 - 1))
    assert estimate.accepted_value == pytest.approx(estimate.value * 0.95 / 0.62)
    assert estimate.interval.low < estimate.value < estimate.interval.high
    assert estimate.accepted_interval.low < estimate.accepted_value < estimate.accepted_interval.high
    assert estimate.reason == ""


@pytest.mark.parametrize(
    ("acceptance", "sensitivity", "specificity", "reason"),
    [
        (rate(0, 0), rate(9, 10), rate(9, 10), "every judged pair is parsed"),
        (
            rate(5, 9),
            rate(90, 100),
            rate(1, 1),
            "100 parsed pairs are right and 1 wrong, and the critic's error needs 10 of each",
        ),
        (rate(5, 9), rate(5, 10), rate(5, 10), "the critic accepts wrong pairs as often as right ones"),
        (rate(5, 9), rate(1, 10), rate(2, 10), "the critic accepts wrong pairs as often as right ones"),
    ],
)
def test_an_estimate_that_cannot_be_made_says_why(acceptance, sensitivity, specificity, reason):
    estimate = estimate_unparsed(acceptance, sensitivity, specificity)
    assert str(estimate.value) == str(estimate.accepted_value) == "nan"
    assert (estimate.interval.low, estimate.interval.high) == (0, 1)
    assert estimate.reason == reason


# ------------------------------------------------------------------------------------------------------- a shard


@pytest.fixture(scope="module")
def shard(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("run")
    make_pilot(root)
    return root / "artifacts" / "pilot"


def test_a_shard_with_a_critic_that_knows_the_answers_gains(shard):
    ledger = read_record(shard / "qc_summary.json", QcSummary).purity
    examples = read_jsonl(shard / "dataset.jsonl", Example)
    assert counts(ledger)["kept"] == (len(examples), len(examples))
    assert ledger.pairs.phases["rejected"].k == 0 < ledger.pairs.phases["rejected"].n
    assert ledger.pairs.gain.finding == "gain"
    assert ledger.instructions.phases["rejected"].k == 0 < ledger.instructions.phases["rejected"].n
    assert ledger.instructions.gain.value > 0  # too few are rejected to show it


def test_without_the_critic_wrong_pairs_are_kept_and_nothing_is_gained(tmp_path):
    summary = make_pilot(tmp_path, config=with_generation(filter_with_critic=False)).summary
    pairs = summary.purity.pairs
    assert pairs.phases["kept"].k < pairs.phases["kept"].n
    assert pairs.phases["rejected"].n == pairs.gain.value == 0
    assert pairs.gain.finding == "no gain shown"
    assert summary.purity.instructions.gain.value == 0


def test_the_count_of_kept_examples_notes_the_purity(shard):
    summary = read_record(shard / "qc_summary.json", QcSummary)
    assert summary.thresholds[0].note == summary.purity.sentence()


def test_a_family_of_a_plugin_is_scored_by_its_own_scorer(tmp_path):
    before = ledger_of(example(0, instruction="Write 4 as a Roman numeral.", response="IV"))
    plugins.activate([str(write_families(tmp_path))])
    try:
        family = next(family for family in registry.select_families(True) if family.name == "roman_numeral")
        text = family.render(family.keys[0], 0)
        ledger = ledger_of(
            example(0, instruction=text, response=family.answer(family.keys[0])),
            example(1, instruction=text, response="a dog"),
        )
    finally:
        plugins.activate(())
    assert ledger.pairs.by_family["roman_numeral"]["kept"].value == 0.5
    assert before.pairs.unparsed["kept"] == 1


def test_no_scorer_selects_data():
    """Generation calls no scorer of a family: what the ledger reports is not what the filter was told."""
    calls = [
        (path.name, call.func.attr)
        for path in Path(ctai.generate.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr in ("score", "check", "judge", "accepted", "answer", "purity", "ledger")
    ]
    assert calls == []


def test_the_ledger_is_the_same_after_an_interruption(tmp_path):
    whole = make_pilot(tmp_path / "whole").summary
    model = WorldModel()
    model.interrupt_after = 40
    with pytest.raises(KeyboardInterrupt):
        make_pilot(tmp_path / "cut", model)
    assert make_pilot(tmp_path / "cut", config=CONFIG).summary.purity == whole.purity
