"""The budget: what a run has used, what the next stage is going to take, and a stop before the limit is passed.

Owns the ledger, a file beside the session manifest that all sessions of a run directory add to. Time is counted from the
start of a session, loading and judging included, because that is what a rented machine is paid for; while several machines
work at once, the time of each of them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctai.config import Limits
from ctai.errors import CtaiError, PreconditionError
from ctai.records import BudgetEntry, BudgetLedger
from ctai.rundir import read_record, write_json

OTHER = "between stages"
_SECONDS_BETWEEN_WRITES = 30.0
# A projection is trusted after this share of a stage, and not before this many seconds.
_TRUSTED_SHARE, _TRUSTED_SECONDS = 0.05, 60.0
# What a stage's speed may be told from, before it has run itself.
_SPEED_PROXY = {"scale": "pilot"}


class Ledger:
    """Counts time by stage, and refuses what would pass the budget.

    Args:
        path: of the ledger; an existing one is continued.
        limits: `cost_per_hour_usd` and `budget_usd`; a cost of 0 sets no limit.
        clock: seconds from anywhere.
    """

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._limits, self._clock = path, limits, clock
        found = read_record(path, BudgetLedger).entries if path.exists() else ()
        self._entries = {entry.stage: entry for entry in found}
        self._stage, self._total, self._done, self._spent_in_stage = OTHER, 0, 0, 0.0
        self._machines = 1
        self._last = self._written = clock()

    @property
    def seconds(self) -> float:
        """Seconds used so far, by all sessions."""
        return sum(entry.seconds for entry in self._entries.values())

    def cost(self, seconds: float) -> float:
        """US dollars."""
        return seconds / 3600 * self._limits.cost_per_hour_usd

    @contextmanager
    def machines(self, count: int) -> Iterator[None]:
        """Count the time of so many machines, or GPUs, that work at once and are all paid for."""
        self._count(0)
        self._machines = count
        try:
            yield
        finally:
            self._count(0)
            self._machines = 1

    def start(self, stage: str, total: int) -> None:
        """A stage of `total` steps begins."""
        self._count(0)
        self._stage, self._total, self._done, self._spent_in_stage = stage, total, 0, 0.0

    def advance(self, steps: int) -> None:
        """Steps of the stage are done.

        Raises:
            CtaiError: the budget is used up, or is going to be before the stage ends.
        """
        self._count(steps)
        total = self.cost(self.seconds + self._projected_seconds())
        if total > self._limits.budget_usd:
            raise CtaiError(
                f"{self._stage} was stopped: {self._used()}, and at this speed it would end at {total:.2f} USD; all that is "
                "finished is kept: raise limits.budget_usd and run the same command again to go on"
            )

    def finish(self) -> None:
        """The stage has ended; also called when the session does."""
        self._count(0)
        self._stage, self._total, self._done = OTHER, 0, 0
        self.write()

    def estimate(self, stage: str, steps: int) -> float | None:
        """Seconds that a stage of so many steps takes at the speed measured so far; None if nothing like it was."""
        rate = self._rate(stage) or self._rate(_SPEED_PROXY.get(stage, stage))
        return steps / rate if rate else None

    def require(self, stage: str, steps: int, advice: str) -> str:
        """A sentence on what a stage is going to take.

        Args:
            stage: the first word of its name.
            steps: how many it has.
            advice: which setting makes it cheaper.

        Raises:
            PreconditionError: the budget does not allow it.
        """
        seconds = self.estimate(stage, steps)
        if seconds is None:
            return f"{stage}: nothing like it was measured yet, so its time is not known; {self._used()}"
        cost = self.cost(self.seconds + seconds)
        about = f"{stage} takes about {seconds / 3600:.2f} h ({self.cost(seconds):.2f} USD)"
        if cost > self._limits.budget_usd:
            raise PreconditionError(
                f"{about} and was not started: {self._used()}; raise limits.budget_usd or {advice}, and run the same "
                "command again"
            )
        return f"{about}; {self._used()}"

    def write(self) -> None:
        """Write the ledger."""
        self._written = self._clock()
        entries = tuple(self._entries.values())
        limits = self._limits
        record = BudgetLedger(
            cost_per_hour_usd=limits.cost_per_hour_usd,
            budget_usd=limits.budget_usd,
            hours=self.seconds / 3600,
            cost_usd=self.cost(self.seconds),
            entries=entries,
        )
        write_json(self._path, record)

    def _count(self, steps: int) -> None:
        now = self._clock()
        passed, self._last = (now - self._last) * self._machines, now
        self._done += steps
        self._spent_in_stage += passed
        old = self._entries.get(self._stage, BudgetEntry(stage=self._stage, seconds=0.0, steps=0))
        update = {"seconds": old.seconds + passed, "steps": old.steps + steps}
        self._entries[self._stage] = old.model_copy(update=update)
        if now - self._written > _SECONDS_BETWEEN_WRITES:
            self.write()

    def _projected_seconds(self) -> float:
        """What is left of the stage at its own speed; 0 while that is not known."""
        known = self._done >= _TRUSTED_SHARE * self._total and self._spent_in_stage >= _TRUSTED_SECONDS
        if not known or not self._done or self._limits.cost_per_hour_usd == 0:
            return 0.0
        return max(self._total - self._done, 0) * self._spent_in_stage / self._done

    def _rate(self, stage: str) -> float:
        """Steps a second of all stages whose names begin with this word; 0 when there was none."""
        alike = [entry for name, entry in self._entries.items() if name.split()[0] == stage]
        seconds, steps = sum(entry.seconds for entry in alike), sum(entry.steps for entry in alike)
        return steps / seconds if seconds > 0 else 0.0

    def _used(self) -> str:
        if self._limits.cost_per_hour_usd == 0:
            return f"{self.seconds / 3600:.2f} h used, no price set (limits.cost_per_hour_usd)"
        return f"{self.cost(self.seconds):.2f} of {self._limits.budget_usd:g} USD used"
