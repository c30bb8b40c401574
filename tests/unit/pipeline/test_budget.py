"""The budget: time counted over sessions, estimates from measured speed, a stop before the limit."""

import pytest

from ctai.config import Limits
from ctai.errors import CtaiError, PreconditionError
from ctai.pipeline.budget import BETWEEN_STAGES, Ledger
from ctai.pipeline.limits import LimitedProgress
from ctai.progress import SilentProgress
from ctai.records import BudgetLedger
from ctai.rundir import read_record

pytestmark = pytest.mark.unit


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ledger(tmp_path, clock, *, cost=3.6, budget=10.0) -> Ledger:
    """A ledger in which 1000 s cost 1 USD."""
    return Ledger(tmp_path / "budget_ledger.json", Limits(cost_per_hour_usd=cost, budget_usd=budget), clock)


def work(book: Ledger, clock: Clock, stage: str, steps: int, seconds: float) -> None:
    book.start(stage, steps)
    for _ in range(steps):
        clock.now += seconds / steps
        book.advance(1)
    book.finish()


def test_all_time_is_counted_that_between_stages_too(tmp_path, clock):
    book = ledger(tmp_path, clock)
    clock.now += 50
    work(book, clock, "pilot shard 0", 100, 200)
    clock.now += 25
    book.finish()
    record = read_record(tmp_path / "budget_ledger.json", BudgetLedger)
    assert {entry.stage: (entry.seconds, entry.steps) for entry in record.entries} == {
        BETWEEN_STAGES: (75, 0),
        "pilot shard 0": (pytest.approx(200), 100),
    }
    assert record.cost_usd == pytest.approx(0.275)


def test_machines_that_work_at_once_are_all_counted(tmp_path, clock):
    book = ledger(tmp_path, clock)
    clock.now += 10
    with book.machines(4):
        work(book, clock, "scale shards on 4 workers", 100, 200)
    clock.now += 5
    book.finish()
    assert book.seconds == pytest.approx(10 + 4 * 200 + 5)
    assert book.estimate("scale", 100) == pytest.approx(800), "hours of all machines together, whatever their number"


def test_a_later_session_goes_on_counting(tmp_path, clock):
    work(ledger(tmp_path, clock), clock, "pilot shard 0", 10, 500)
    later = ledger(tmp_path, clock)
    assert later.seconds == pytest.approx(500)
    work(later, clock, "pilot shard 0", 10, 500)
    assert read_record(tmp_path / "budget_ledger.json", BudgetLedger).cost_usd == pytest.approx(1.0)


def test_a_killed_session_loses_half_a_minute_at_most(tmp_path, clock):
    book = ledger(tmp_path, clock)
    book.start("scale shard 0", 1000)
    for _ in range(100):
        clock.now += 10
        book.advance(1)
    assert ledger(tmp_path, clock).seconds >= 1000 - 40


def test_the_scale_run_is_estimated_from_the_pilot(tmp_path, clock):
    book = ledger(tmp_path, clock)
    assert "time not known" in book.require("scale", 100, "lower scale.count")
    work(book, clock, "pilot shard 0", 100, 200)
    assert book.estimate("scale", 1000) == pytest.approx(2000)
    work(book, clock, "scale shard 0", 100, 100)  # faster than the pilot: its own speed counts from now on
    assert book.estimate("scale", 1000) == pytest.approx(1000)
    assert (
        book.require("scale", 1000, "lower scale.count") == "scale takes about 0.28 h (1.00 USD); 0.30 of 10 USD used"
    )


def test_a_stage_that_the_budget_does_not_allow_is_not_started(tmp_path, clock):
    book = ledger(tmp_path, clock, budget=1.0)
    work(book, clock, "pilot shard 0", 100, 200)
    with pytest.raises(
        PreconditionError, match=r"about 0\.28 h \(1\.00 USD\).*Raise limits\.budget_usd or lower scale\.count"
    ):
        book.require("scale", 500, "lower scale.count")


def test_a_stage_is_stopped_when_its_speed_says_that_it_will_pass_the_budget(tmp_path, clock):
    book = ledger(tmp_path, clock, budget=1.0)
    with pytest.raises(CtaiError, match=r"training was stopped: .* end at 10\.00 USD\. Finished work is kept"):
        work(book, clock, "training", 1000, 10_000)
    assert book.seconds == pytest.approx(500)  # at a twentieth of it, long before the money is gone


def test_without_a_price_there_is_no_limit(tmp_path, clock):
    book = ledger(tmp_path, clock, cost=0.0, budget=0.0)
    work(book, clock, "pilot shard 0", 10, 1e6)
    assert "no price set" in book.require("scale", 10_000, "lower scale.count")


def test_progress_tells_the_ledger(tmp_path, clock):
    book = ledger(tmp_path, clock, budget=0.5)
    progress = LimitedProgress(book, SilentProgress())
    progress.start("scale shard 0", 10)
    clock.now += 600
    with pytest.raises(CtaiError, match="scale shard 0 was stopped"):
        progress.advance(1)
