"""What became of the run and of each gate: the verdict of the page, the strip of gates, and the metrics of a gate.

The verdicts are the gates'; here they are only put into words. A gate counts as passed on the page only when its verdict
says so, all gates before it passed, and what it judged is still as it was.
"""

from typing import NamedTuple

from markupsafe import Markup

from ctai.evidence.advice import ADVICE
from ctai.records import Metric, Phase, Verdict
from ctai.registry import GATES, GateSpec
from ctai.report.drawing import threshold_axis
from ctai.report.source import RunReader
from ctai.report.text import duration, number, short, words

_COMPARISONS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "exactly"}
_WITHOUT_VERDICT = ("failed", "interrupted", "running")


class GateStatus(NamedTuple):
    """An outcome in a word, with the sign that stands beside it and the class it is drawn in."""

    word: str
    sign: str
    kind: str


PASSED = GateStatus("passed", "✓", "good")
LOOSER = GateStatus("passed, not by the book", "!", "warn")
CHANGED = GateStatus("passed, then changed", "!", "warn")
FAILED = GateStatus("failed", "✕", "bad")
INCOMPLETE = GateStatus("incomplete", "◐", "warn")
NOT_MEASURED = GateStatus("not measured", "✕", "bad")
BLOCKED = GateStatus("blocked", "–", "none")
NOT_RUN = GateStatus("not run", "·", "none")
_GOES_ON = (PASSED, LOOSER, CHANGED)
_OF_VERDICT = {"passed": PASSED, "failed": FAILED, "incomplete": INCOMPLETE}


class MetricRow(NamedTuple):
    """A metric as it is shown."""

    metric: Metric
    name: str
    value: str
    interval: str
    must: str
    axis: Markup
    passed: bool

    @property
    def miss(self) -> str:
        """What was missed, in a sentence."""
        note = f": {self.metric.note}" if self.metric.note else ""
        return f"{self.name} is {self.value} and must be {self.must}{note}"


class MetricGroup(NamedTuple):
    """Metrics that were computed from one file, and its digest."""

    artifact: str
    digest: str
    rows: tuple[MetricRow, ...]


class GateView(NamedTuple):
    """A gate on the page. `why` holds what its metrics do not say themselves."""

    spec: GateSpec
    state: GateStatus
    why: tuple[str, ...]
    groups: tuple[MetricGroup, ...]
    verdict: Verdict | None
    time: str

    @property
    def met(self) -> str:
        """How many thresholds were met."""
        rows = [row for group in self.groups for row in group.rows]
        return f"{sum(row.passed for row in rows)} of {len(rows)} met" if rows else ""

    @property
    def failed_rows(self) -> list[MetricRow]:
        """The metrics that missed their thresholds."""
        return [row for group in self.groups for row in group.rows if not row.passed]

    @property
    def advice(self) -> list[str]:
        """What to try next, as the terminal says it: a sentence for the metrics that missed their thresholds, each once."""
        known = (ADVICE.get(row.metric.name) for row in self.failed_rows)
        return list(dict.fromkeys(sentence for sentence in known if sentence))


def gate_views(source: RunReader) -> list[GateView]:
    """All gates in order."""
    views: list[GateView] = []
    for gate in GATES:
        stopped = next((view for view in views if view.state not in _GOES_ON), None)
        views.append(_view(source, gate, stopped))
    return views


def _view(source: RunReader, gate: GateSpec, stopped: GateView | None) -> GateView:
    verdict = source.verdicts.get(gate.name)
    phases = [phase for phase in source.session.phases if phase.name == gate.name] if source.session else []
    state, why = _state(source, gate, verdict, phases[-1] if phases else None, stopped)
    seconds = sum(phase.seconds for phase in phases)
    return GateView(gate, state, tuple(why), _groups(verdict), verdict, duration(seconds) if phases else "")


def _state(
    source: RunReader, gate: GateSpec, verdict: Verdict | None, last: Phase | None, stopped: GateView | None
) -> tuple[GateStatus, list[str]]:
    if stopped is not None:
        old = ["a verdict from before lies in the run directory and does not count"] if verdict else []
        if stopped.state == NOT_RUN:
            return NOT_RUN, old
        return BLOCKED, [f"blocked by gate {stopped.spec.number}, {stopped.spec.name}", *old]
    if last is not None and last.outcome in _WITHOUT_VERDICT:
        old = ["its verdict is from an earlier attempt"] if verdict else []
        ended = "it was still running" if last.outcome == "running" else f"the attempt {last.outcome}"
        return NOT_MEASURED, [*(last.reasons or (ended,)), *old]
    if verdict is None:
        unreadable = [p for p in source.problems if p.startswith(f"evidence/verdicts/{gate.number}-{gate.name}.json ")]
        return (NOT_MEASURED, unreadable) if unreadable else (NOT_RUN, [])
    changed = source.differences(gate)
    looser = [f"not by the book: {departure}" for departure in verdict.departures]
    if verdict.passed and (changed or looser):
        return CHANGED if changed else LOOSER, [*changed, *looser]
    said = {metric.failure() for metric in verdict.metrics if not metric.passed}
    return _OF_VERDICT[verdict.outcome], [*(r for r in verdict.reasons if r not in said), *changed, *looser]


# -------------------------------------------------------------------------------------------------------- metrics


def _groups(verdict: Verdict | None) -> tuple[MetricGroup, ...]:
    metrics = verdict.metrics if verdict else ()
    files = dict.fromkeys(metric.artifact or "" for metric in metrics)
    digests = verdict.artifacts if verdict else {}
    return tuple(
        MetricGroup(file, digests.get(file, ""), tuple(_row(m) for m in metrics if (m.artifact or "") == file))
        for file in files
    )


def _row(metric: Metric) -> MetricRow:
    must = f"{_COMPARISONS[metric.comparison]} {short(metric.threshold)}"
    axis = threshold_axis(
        f"{words(metric.name)}: {number(metric.value)}, must be {must}",
        metric.value, metric.interval, metric.comparison, metric.threshold, good=metric.passed,
    )  # fmt: skip
    interval = f"{number(metric.interval.low)} to {number(metric.interval.high)}" if metric.interval else ""
    return MetricRow(metric, words(metric.name), number(metric.value), interval, must, axis, metric.passed)


# --------------------------------------------------------------------------------------------------------- verdict


class Headline(NamedTuple):
    """The verdict of the page: a state, one sentence, and why."""

    state: GateStatus
    sentence: str
    why: tuple[str, ...]
    gate: GateView | None


def headline(views: list[GateView]) -> Headline:
    """What a reader must know first."""
    stopped = next((view for view in views if view.state not in _GOES_ON), None)
    changed = [view for view in views if view.state == CHANGED]
    if stopped is not None:
        return _stopped(stopped, views)
    if changed:
        why = tuple(f"gate {view.spec.number}: {reason}" for view in changed for reason in view.why)
        return Headline(CHANGED, "All six gates passed, but the evidence has changed since.", why, changed[0])
    if any(view.state == LOOSER for view in views):
        why = tuple(dict.fromkeys(reason for view in views for reason in view.why))
        sentence = "All six gates passed, but not by the book: their thresholds are looser than ctai's own."
        return Headline(LOOSER, sentence, why, None)
    return Headline(PASSED, "All six gates passed: the trained model answers better than its base.", (), None)


def _stopped(view: GateView, views: list[GateView]) -> Headline:
    place = f"gate {view.spec.number}, {view.spec.name}"
    if view.state == NOT_RUN:
        done = any(one.state in _GOES_ON for one in views)
        sentence = f"Not finished: {place}, has not been run." if done else "No gate has run yet."
        return Headline(NOT_RUN, sentence, (), view)
    sentence = {
        FAILED: f"Stopped at {place}: a threshold was missed.",
        INCOMPLETE: f"Stopped at {place}: not all of its thresholds were tested.",
        NOT_MEASURED: f"Stopped at {place}: it could not be measured.",
    }[view.state]
    misses = [row.miss for row in view.failed_rows] if view.state == FAILED else []
    return Headline(view.state, sentence, (*misses, *view.why), view)
