"""JUnit report as evidence: reading of its test cases, and their comparison with the verdicts.

Owns the rule by which a test case agrees with its verdict. Does not write reports (`ctai.evidence.junit_report`) or decide
verdicts (`ctai.evidence.verdicts`).
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from ctai.errors import CtaiError
from ctai.evidence.junit_report import MEASURED_BY, measured_by
from ctai.records import Metric, Verdict
from ctai.registry import GATES, GateSpec
from ctai.rundir import RunDir, sha256_file

_NOT_PASSED = ("failure", "error", "skipped")


class TestCase(NamedTuple):
    """Test case of a JUnit report.

    Attributes:
        report: path of the report, relative to the run directory.
        name: name of the test.
        outcome: `passed`, or the tag of the element that says otherwise (`failure`, `error`, `skipped`).
        message: message of that element; empty for a test that passed.
        properties: properties of the test case.
        measured_by: properties `measured_by.*` of its suite.
    """

    report: str
    name: str
    outcome: str
    message: str
    properties: dict[str, str]
    measured_by: dict[str, str]


def read_cases(rundir: RunDir) -> list[TestCase]:
    """Return the test cases of all reports in the evidence.

    Raises:
        CtaiError: a report is not XML.
    """
    cases = []
    for path in sorted(rundir.evidence.glob("gates*.xml")):
        name = rundir.relative(path)
        try:
            root = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, ValueError, LookupError) as error:  # also an encoding that Python lacks
            raise CtaiError(f"{name} is not a JUnit report: {error}") from error
        for suite in root.iter("testsuite"):
            facts = _properties(suite.findall("properties/property"))
            makers = {name: value for name, value in facts.items() if name.startswith(MEASURED_BY)}
            cases += [_case(name, element, makers) for element in suite.findall("testcase")]
    return cases


def _properties(elements: Iterable[ElementTree.Element]) -> dict[str, str]:
    return {element.get("name", ""): element.get("value", "") for element in elements}


def _case(report: str, element: ElementTree.Element, measured_by: dict[str, str]) -> TestCase:
    other = next((child for child in element if child.tag in _NOT_PASSED), None)
    outcome, message = ("passed", "") if other is None else (other.tag, other.get("message", ""))
    properties = _properties(element.iter("property"))
    return TestCase(report, element.get("name", ""), outcome, message, properties, measured_by)


def links_recorded_verdicts(rundir: RunDir) -> bool:
    """Return True if the report of a whole run still holds: its test cases link every recorded verdict.

    Raises:
        CtaiError: a report is not XML.
    """
    name = rundir.relative(rundir.junit_report)
    linked = {case.properties.get("verdict_sha256") for case in read_cases(rundir) if case.report == name}
    recorded = [path for path in map(rundir.verdict, GATES) if path.is_file()]
    return all(sha256_file(path) in linked for path in recorded)


def junit_differences(rundir: RunDir, gate: GateSpec, verdict: Verdict, cases: Iterable[TestCase]) -> Iterator[str]:
    """Yield where the reports differ from a verdict, or lack a test case of one of its metrics.

    Test cases that link another verdict belong to a decision that was replaced later; they are not compared.
    """
    digest = sha256_file(rundir.verdict(gate))
    linked = [case for case in cases if case.properties.get("verdict_sha256") == digest]
    required = {metric.name for metric in verdict.metrics if metric.applicable}
    missing = required - {case.properties.get("metric") for case in linked}
    if missing and verdict.passed:
        yield f"evidence/gates.xml: lacks a test case with the verdict of gate {gate.name} for {', '.join(sorted(missing))}"
    expected = measured_by(verdict)
    for report in sorted({case.report for case in linked if case.measured_by != expected}):
        yield f"{report}: the makers in the suite of gate {gate.name} differ from those in its verdict"
    for metric in verdict.metrics:
        for case in (case for case in linked if case.properties.get("metric") == metric.name):
            yield from (f"{case.report}: {case.name} {text}" for text in _case_differences(case, gate, metric, verdict))


def _case_differences(case: TestCase, gate: GateSpec, metric: Metric, verdict: Verdict) -> Iterator[str]:
    stated = case.properties
    yield from _outcome_differences(case, metric, verdict)
    expected = {"gate": gate.name, "threshold": metric_threshold(metric)}
    if metric.artifact is not None:
        expected |= {"artifact": metric.artifact, "artifact_sha256": verdict.artifacts.get(metric.artifact, "")}
    yield from (
        f"has {name} {stated.get(name)!r}, the verdict {v!r}" for name, v in expected.items() if stated.get(name) != v
    )
    if not _is_same_number(stated.get("value", ""), metric.value):
        yield f"has value {stated.get('value')!r}, the verdict {metric.value!r}"


def _outcome_differences(case: TestCase, metric: Metric, verdict: Verdict) -> Iterator[str]:
    """Yield where the outcome of a test contradicts its metric; one that does not apply is skipped for that reason."""
    if metric.applicable:
        if case.outcome != "passed" and verdict.passed:
            yield f"has the outcome {case.outcome}, but the verdict says passed"
        if case.outcome == "passed" and not metric.passed:
            yield f"passed, but {metric.failure()}"
    elif verdict.passed and (case.outcome, case.message) != ("skipped", skip_reason(metric)):
        yield f"has the outcome {case.outcome} {case.message!r}, but {metric.name} is not applicable"


def skip_reason(metric: Metric) -> str:
    """Return the reason for which the test of a metric that does not apply is skipped: `not applicable: no such items`."""
    return metric.sentence().removeprefix(f"{metric.name} ")


def metric_threshold(metric: Metric) -> str:
    """Return the threshold of a metric as the report shows it, such as `< 0.05`."""
    return f"{metric.comparison} {metric.threshold:g}"


def _is_same_number(text: str, value: float) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return number == value or (math.isnan(number) and math.isnan(value))
