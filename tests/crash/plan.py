"""Where a run is going to be killed: moments of writes, chosen from those of a whole run, in the order of that run."""

import random
from collections.abc import Collection, Sequence

from tests.crash.crash import MOMENTS, Point
from tests.crash.stages import stage_of

SEED = 0
# How often each stage is killed at a named moment. A gate's verdict is one file.
KILLS = {
    "log": 2, "preregistration": 1, "contamination": 4, "held-out set": 3, "instruments": 4, "pilot": 4,
    "shard-000": 3, "shard-001": 3, "shard-002": 3, "shard-003": 3, "merge": 4, "headroom": 4, "training": 6,
    "evaluation": 5, "verdicts": 6, "report": 2, "JUnit report": 2, "attestations": 2,
}  # fmt: skip
# Written by every session, not only by the first: nothing there can be found missing.
_EVERY_TIME = ("log", "preregistration", "verdicts", "report")


def is_work(point: Point) -> bool:
    """Whether a point says how far a run is: what every session writes anew does not."""
    return stage_of(point.name) not in _EVERY_TIME and not point.name.endswith("stage_key.txt")


def choose(trace: Sequence[Point], final: Collection[str]) -> list[Point]:
    """The points to die at, each once, in the order of the trace.

    In each stage: before its manifest and after it, when the verdict is still to come; then any file at any moment.

    Args:
        trace: of a whole run.
        final: the names of the files that it left; others come and go with the clock.
    """
    rng = random.Random(SEED)
    names = list(dict.fromkeys(point.name for point in trace if point.name in final))
    chosen: set[Point] = set()
    for stage, wanted in KILLS.items():
        own = [name for name in names if stage_of(name) == stage and not _cannot_be_waited_for(name)]
        manifests = [name for name in own if name.endswith("/manifest.json")][-1:]
        points = {Point(moment, name) for name in manifests for moment in ("written", "durable")}
        possible = [Point(moment, name) for name in own for moment in _moments(name, rng) if _can_happen(moment, name)]
        rng.shuffle(possible)
        if stage == "verdicts":  # each of them once
            possible = [Point(MOMENTS[at % 4], name) for at, name in enumerate(own)]
        points |= set(possible[: max(0, wanted - len(points))])
        chosen |= points
    return sorted(chosen, key=lambda point: (names.index(point.name), MOMENTS.index(point.moment)))


def _cannot_be_waited_for(name: str) -> bool:
    """Whether the next session gives such a file another name, as it does its report, or writes it by the clock: then what
    was to be killed after it may be over before it comes."""
    return name.startswith("logs/junit-") or name == "logs/budget_ledger.json"


def _moments(name: str, rng: random.Random) -> tuple[str, ...]:
    """Moments that one file can be killed at, one after another: once it has its name, no session may write it again."""
    first, last = MOMENTS[: MOMENTS.index("renamed")], MOMENTS[MOMENTS.index("renamed") :]
    return first if name.endswith("/manifest.json") else (*first, rng.choice(last))


def _can_happen(moment: str, name: str) -> bool:
    """Only a new file can be missing after a power loss."""
    return moment != "unrenamed" or is_work(Point(moment, name))


def stage_after(trace: Sequence[Point], done: Sequence[Point]) -> str:
    """The stage that a run which had come so far was at work in: that of the next thing that a whole run does."""
    order = [point for point in trace if is_work(point)]
    reached = [order.index(point) for point in done if point in order]
    following = order[max(reached, default=-1) + 1 :]
    return stage_of(following[0].name) if following else "report"
