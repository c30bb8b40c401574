"""Status of the run and of each gate: headline, gate strip and metric tables.

Presents recorded verdicts and makes none. The report shows a gate as passed only if its verdict says so, all gates before
it passed, and its artifacts are unchanged.
"""

from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup

from ctai.evidence.verdicts import verdict_path
from ctai.records import Metric, Phase, Verdict
from ctai.registry import GATES, METRICS, GateSpec
from ctai.report.drawing import draw_threshold_axis
from ctai.report.text import format_duration, format_interval, format_number, format_short, humanize
from ctai.rundir.reader import RunReader

_ALL = f"All {('no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')[len(GATES)]} gates"
_COMPARISONS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "exactly"}
_WITHOUT_VERDICT = ("failed", "interrupted", "running")


class GateStatus(NamedTuple):
    """Status of a gate or of one of its metrics: word, sign and CSS class."""

    word: str
    sign: str
    kind: str


MET = GateStatus("met", "✓", "good")
MISSED = GateStatus("missed", "✕", "bad")
NOT_APPLICABLE = GateStatus("not applicable", "–", "none")
PASSED = GateStatus("passed", "✓", "good")
RELAXED = GateStatus("passed, relaxed thresholds", "!", "warn")
CHANGED = GateStatus("passed, then changed", "!", "warn")
FAILED = GateStatus("failed", "✕", "bad")
INCOMPLETE = GateStatus("incomplete", "◐", "warn")
NOT_MEASURED = GateStatus("not measured", "✕", "bad")
BLOCKED = GateStatus("blocked", "–", "none")
NOT_RUN = GateStatus("not run", "·", "none")
_NOT_BLOCKING = (PASSED, RELAXED, CHANGED)
_VERDICT_STATUS = {"passed": PASSED, "failed": FAILED, "incomplete": INCOMPLETE}


class MetricRow(NamedTuple):
    """Formatted metric."""

    metric: Metric
    name: str
    value: str
    interval: str
    bound: str
    axis: Markup
    result: GateStatus

    @property
    def miss(self) -> str:
        """Sentence about the missed threshold."""
        note = f": {self.metric.note}" if self.metric.note else ""
        return f"{self.name} is {self.value} and must be {self.bound}{note}"


class MetricGroup(NamedTuple):
    """Metrics computed from one file, with its digest."""

    artifact: str
    digest: str
    rows: tuple[MetricRow, ...]


class GateView(NamedTuple):
    """Gate in the report. `reasons` holds the reasons that the metric table does not show."""

    spec: GateSpec
    status: GateStatus
    reasons: tuple[str, ...]
    groups: tuple[MetricGroup, ...]
    verdict: Verdict | None
    time: str

    @property
    def met(self) -> str:
        """Number of thresholds met, as text."""
        results = [row.result for group in self.groups for row in group.rows]
        without = results.count(NOT_APPLICABLE)
        text = f"{results.count(MET)} of {len(results) - without} met"
        return "" if not results else f"{text}, {without} not applicable" if without else text

    @property
    def failed_rows(self) -> list[MetricRow]:
        """Metrics that missed their thresholds."""
        return [row for group in self.groups for row in group.rows if row.result == MISSED]

    @property
    def advice(self) -> list[str]:
        """Remedies for the missed thresholds, as in the terminal, without repetition."""
        specs = (METRICS.get(row.metric.name) for row in self.failed_rows)  # a verdict from elsewhere may name others
        return list(dict.fromkeys(spec.remedy for spec in specs if spec))


def gate_views(reader: RunReader) -> list[GateView]:
    """Return the views of all gates in order."""
    views: list[GateView] = []
    for gate in GATES:
        stopped = next((view for view in views if view.status not in _NOT_BLOCKING), None)
        views.append(_gate_view(reader, gate, stopped))
    return views


def _gate_view(reader: RunReader, gate: GateSpec, stopped: GateView | None) -> GateView:
    verdict = reader.verdicts.get(gate.name)
    phases = [phase for phase in reader.session.phases if phase.name == gate.name] if reader.session else []
    status, reasons = _gate_status(reader, gate, phases[-1] if phases else None, stopped)
    seconds = sum(phase.seconds for phase in phases)
    return GateView(gate, status, tuple(reasons), _groups(verdict), verdict, format_duration(seconds) if phases else "")


def _gate_status(
    reader: RunReader, gate: GateSpec, last: Phase | None, stopped: GateView | None
) -> tuple[GateStatus, list[str]]:
    verdict = reader.verdicts.get(gate.name)
    if stopped is not None:
        old = ["an earlier verdict in the run directory does not count"] if verdict else []
        if stopped.status == NOT_RUN:
            return NOT_RUN, old
        return BLOCKED, [f"blocked by gate {stopped.spec.name}", *old]
    if last is not None and last.outcome in _WITHOUT_VERDICT:
        old = ["its verdict is from an earlier attempt"] if verdict else []
        ended = "it was still running" if last.outcome == "running" else f"the attempt {last.outcome}"
        return NOT_MEASURED, [*(last.reasons or (ended,)), *old]
    if verdict is None:
        unreadable = [p for p in reader.problems if p.startswith(f"{verdict_path(reader.rundir, gate)} ")]
        return (NOT_MEASURED, unreadable) if unreadable else (NOT_RUN, [])
    changed = reader.find_inconsistencies(gate)
    relaxed = [f"relaxed threshold: {threshold}" for threshold in verdict.relaxed_thresholds]
    if verdict.passed and (changed or relaxed):
        return CHANGED if changed else RELAXED, [*changed, *relaxed]
    in_table = {metric.failure() for metric in verdict.metrics if metric.missed}
    return _VERDICT_STATUS[verdict.outcome], [*(r for r in verdict.reasons if r not in in_table), *changed, *relaxed]


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
    bound, name = f"{_COMPARISONS[metric.comparison]} {format_short(metric.threshold)}", humanize(metric.name)
    if not metric.applicable:
        return MetricRow(metric, name, "", "", bound, Markup(""), NOT_APPLICABLE)
    axis = draw_threshold_axis(
       f"{name}: {format_number(metric.value)}, must be {bound}",
        metric.value, metric.interval, metric.comparison, metric.threshold, good=metric.passed,
    )  # fmt: skip
    interval = format_interval(metric.interval) if metric.interval else ""
    result = MET if metric.passed else MISSED
    return MetricRow(metric, name, format_number(metric.value), interval, bound, axis, result)


# --------------------------------------------------------------------------------------------------------- verdict


class Headline(NamedTuple):
    """Verdict on the run: status, one sentence, and its reasons."""

    status: GateStatus
    sentence: str
    reasons: tuple[str, ...]
    gate: GateView | None


def headline(views: list[GateView], failed_tests: Mapping[str, str]) -> Headline:
    """Return the verdict on the run.

    Args:
        views: all gates, in order.
        failed_tests: failed tests of the sessions of which no verdict tells; with one, the run has not passed.
    """
    result = _headline_of_gates(views)
    if not failed_tests:
        return result
    reasons = (*(f"failed test {name}: {text}" for name, text in failed_tests.items()), *result.reasons)
    if result.status.kind == "bad":
        return result._replace(reasons=reasons)
    return Headline(FAILED, "Not passed: a test of the gates failed.", reasons, result.gate)


def _headline_of_gates(views: list[GateView]) -> Headline:
    stopped = next((view for view in views if view.status not in _NOT_BLOCKING), None)
    changed = [view for view in views if view.status == CHANGED]
    if stopped is not None:
        return _stopped(stopped, views)
    if changed:
        reasons = tuple(f"gate {view.spec.name}: {reason}" for view in changed for reason in view.reasons)
        return Headline(CHANGED, f"{_ALL} passed, but the evidence has changed since.", reasons, changed[0])
    if any(view.status == RELAXED for view in views):
        reasons = tuple(dict.fromkeys(reason for view in views for reason in view.reasons))
        sentence = f"{_ALL} passed, but with thresholds relaxed from the defaults{_claim(views)}."
        return Headline(RELAXED, sentence, reasons, None)
    return Headline(PASSED, f"{_ALL} passed{_claim(views)}.", (), None)


def _claim(views: list[GateView]) -> str:
    """Return the claim of the last gate that makes one, after a colon."""
    claims = [view.verdict.claim for view in views if view.verdict and view.verdict.claim]
    return f": {claims[-1]}" if claims else ""


def _stopped(view: GateView, views: list[GateView]) -> Headline:
    place = f"gate {view.spec.name}"
    if view.status == NOT_RUN:
        started = any(other.status in _NOT_BLOCKING for other in views)
        sentence = f"Not finished: {place} has not been run." if started else "No gate has run yet."
        return Headline(NOT_RUN, sentence, (), view)
    sentence = {
        FAILED: f"Stopped at {place}: a threshold was missed.",
        INCOMPLETE: f"Stopped at {place}: not all of its thresholds were tested.",
        NOT_MEASURED: f"Stopped at {place}: it could not be measured.",
    }[view.status]
    misses = [row.miss for row in view.failed_rows] if view.status == FAILED else []
    return Headline(view.status, sentence, (*misses, *view.reasons), view)
