"""Choice of the crash points of a run from the trace of an uninterrupted run, in the order of that run."""

import random
from collections.abc import Collection, Sequence

from tests.crash.crash import MOMENTS, Point
from tests.crash.stages import stage_of

SEED = 0
# Number of kills at a named moment by stage. The verdict of a gate is one file.
KILLS = {
    "log": 2, "preregistration": 1, "contamination": 4, "held-out set": 3, "instruments": 4, "pilot": 4,
    "shard-000": 3, "shard-001": 3, "shard-002": 3, "shard-003": 3, "merge": 4, "headroom": 4, "training": 6,
    "evaluation": 5, "verdicts": 6, "report": 2, "JUnit report": 2, "attestations": 2,
}  # fmt: skip
# Stages that every session writes again, so that their files show no progress.
_EVERY_TIME = ("log", "preregistration", "verdicts", "report")


def is_work(point: Point) -> bool:
    """Return whether a point shows progress of a run; files that every session writes again do not."""
    return stage_of(point.name) not in _EVERY_TIME and not point.name.endswith("stage_key.txt")


def choose(trace: Sequence[Point], final: Collection[str]) -> list[Point]:
    """Return the crash points, each once, in the order of the trace.

    In each stage: before its manifest and after it, before the verdict; then any file at any moment.

    Args:
        trace: trace of an uninterrupted run.
        final: names of its final files; other files depend on the time.
    """
    rng = random.Random(SEED)
    names = list(dict.fromkeys(point.name for point in trace if point.name in final))
    chosen: set[Point] = set()
    for stage, count in KILLS.items():
        files = [name for name in names if stage_of(name) == stage and not _is_unpredictable(name)]
        manifests = [name for name in files if name.endswith("/manifest.json")][-1:]
        points = {Point(moment, name) for name in manifests for moment in ("written", "durable")}
        possible = [
            Point(moment, name) for name in files for moment in _moments(name, rng) if _can_happen(moment, name)
        ]
        rng.shuffle(possible)
        if stage == "verdicts":  # each verdict once
            possible = [Point(MOMENTS[index % 4], name) for index, name in enumerate(files)]
        points |= set(possible[: max(0, count - len(points))])
        chosen |= points
    return sorted(chosen, key=lambda point: (names.index(point.name), MOMENTS.index(point.moment)))


def _is_unpredictable(name: str) -> bool:
    """Return whether the next session renames such a file or writes it by the clock, so that a kill may never happen."""
    return name.startswith("logs/junit-") or name == "logs/budget_ledger.json"


def _moments(name: str, rng: random.Random) -> tuple[str, ...]:
    """Return moments for successive kills in one file: after the rename no later session writes it again."""
    first, last = MOMENTS[: MOMENTS.index("renamed")], MOMENTS[MOMENTS.index("renamed") :]
    return first if name.endswith("/manifest.json") else (*first, rng.choice(last))


def _can_happen(moment: str, name: str) -> bool:
    """Return whether a moment applies: only a new file can be missing after a power loss."""
    return moment != "unrenamed" or is_work(Point(moment, name))


def stage_after(trace: Sequence[Point], done: Sequence[Point]) -> str:
    """Return the stage that a run with this progress was in: that of the next point of the uninterrupted run."""
    order = [point for point in trace if is_work(point)]
    reached = [order.index(point) for point in done if point in order]
    remaining = order[max(reached, default=-1) + 1 :]
    return stage_of(remaining[0].name) if remaining else "report"
