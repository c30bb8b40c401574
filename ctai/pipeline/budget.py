"""Budget ledger of a run: time and cost by stage, estimates for the next stage, and a stop before the limit is passed.

Owns `logs/budget_ledger.json`, to which all sessions of a run directory add. Time counts from the start of a session,
loading included, because a rented machine is paid for from then on; while several machines work in parallel, the time of
each of them counts.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctai.config import Limits
from ctai.errors import CtaiError, PreconditionError
from ctai.records import BudgetEntry, BudgetLedger
from ctai.rundir import read_record, write_json

BETWEEN_STAGES = "between stages"
_SECONDS_BETWEEN_WRITES = 30.0
# A projection is trusted after this share of a stage, and not before this many seconds.
_TRUSTED_SHARE, _TRUSTED_SECONDS = 0.05, 60.0
# Stages whose speed stands for that of a stage that has not run yet.
_SPEED_PROXY = {"scale": "pilot"}


class Ledger:
    """Time and cost by stage; refuses a stage that would pass the budget.

    Args:
        path: file of the ledger; an existing one is continued.
        limits: `cost_per_hour_usd` and `budget_usd`; a cost of 0 sets no limit.
        clock: monotonic clock in seconds.
    """

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._limits, self._clock = path, limits, clock
        entries = read_record(path, BudgetLedger).entries if path.exists() else ()
        self._entries = {entry.stage: entry for entry in entries}
        self._stage, self._total, self._done, self._spent_in_stage = BETWEEN_STAGES, 0, 0, 0.0
        self._machines = 1
        self._last = self._written = clock()

    @property
    def seconds(self) -> float:
        """Seconds used by all sessions."""
        return sum(entry.seconds for entry in self._entries.values())

    def cost(self, seconds: float) -> float:
        """Return the cost of this many seconds in US dollars."""
        return seconds / 3600 * self._limits.cost_per_hour_usd

    @contextmanager
    def machines(self, count: int) -> Iterator[None]:
        """Multiply the time by the number of machines or GPUs that work in parallel and are all paid for."""
        self._count(0)
        self._machines = count
        try:
            yield
        finally:
            self._count(0)
            self._machines = 1

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of `total` steps."""
        self._count(0)
        self._stage, self._total, self._done, self._spent_in_stage = stage, total, 0, 0.0

    def advance(self, steps: int) -> None:
        """Count finished steps of the stage.

        Raises:
            CtaiError: the budget is used up, or would be before the stage ends.
        """
        self._count(steps)
        total = self.cost(self.seconds + self._projected_seconds())
        if total > self._limits.budget_usd:
            raise CtaiError(
                f"{self._stage} was stopped: {self._used()}, and at this speed it would end at {total:.2f} USD. Finished "
                "work is kept. Raise limits.budget_usd and rerun the same command to resume"
            )

    def finish(self) -> None:
        """End the stage or the session, and write the ledger."""
        self._count(0)
        self._stage, self._total, self._done = BETWEEN_STAGES, 0, 0
        self.write()

    def estimate(self, stage: str, steps: int) -> float | None:
        """Estimate the seconds of a stage of this many steps from measured speed; None if there is none yet."""
        rate = self._rate(stage) or self._rate(_SPEED_PROXY.get(stage, stage))
        return steps / rate if rate else None

    def require(self, stage: str, steps: int, advice: str) -> str:
        """Return a sentence with the estimated time and cost of a stage, for the user.

        Args:
            stage: first word of the name of the stage.
            steps: number of its steps.
            advice: remedy that makes the stage cheaper, for the error message.

        Raises:
            PreconditionError: the estimate exceeds the budget.
        """
        seconds = self.estimate(stage, steps)
        if seconds is None:
            return f"{stage}: time not known, since no similar stage has run yet; {self._used()}"
        cost = self.cost(self.seconds + seconds)
        about = f"{stage} takes about {seconds / 3600:.2f} h ({self.cost(seconds):.2f} USD)"
        if cost > self._limits.budget_usd:
            raise PreconditionError(
                f"{about} and was not started: {self._used()}. Raise limits.budget_usd or {advice}, and rerun the "
                "same command"
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
        seconds, self._last = (now - self._last) * self._machines, now
        self._done += steps
        self._spent_in_stage += seconds
        old = self._entries.get(self._stage, BudgetEntry(stage=self._stage, seconds=0.0, steps=0))
        update = {"seconds": old.seconds + seconds, "steps": old.steps + steps}
        self._entries[self._stage] = old.model_copy(update=update)
        if now - self._written > _SECONDS_BETWEEN_WRITES:
            self.write()

    def _projected_seconds(self) -> float:
        """Return the seconds that the rest of the stage takes at its own speed; 0 while that is not known."""
        is_trusted = self._done >= _TRUSTED_SHARE * self._total and self._spent_in_stage >= _TRUSTED_SECONDS
        if not is_trusted or not self._done or self._limits.cost_per_hour_usd == 0:
            return 0.0
        return max(self._total - self._done, 0) * self._spent_in_stage / self._done

    def _rate(self, stage: str) -> float:
        """Return the steps per second of all stages whose names begin with this word; 0 if there are none."""
        entries = [entry for name, entry in self._entries.items() if name.split()[0] == stage]
        seconds, steps = sum(entry.seconds for entry in entries), sum(entry.steps for entry in entries)
        return steps / seconds if seconds > 0 else 0.0

    def _used(self) -> str:
        if self._limits.cost_per_hour_usd == 0:
            return f"{self.seconds / 3600:.2f} h used, no price set (limits.cost_per_hour_usd)"
        return f"{self.cost(self.seconds):.2f} of {self._limits.budget_usd:g} USD used"
