"""JUnit report as evidence: links from test cases to verdicts, and comparison of the report with the verdicts.

Owns the properties `verdict` and `verdict_sha256`, the copy of the report in the evidence and the copy for viewers of CI
systems. pytest writes the report at the end of the session, so properties are added to the finished file. The copy in the
evidence has no times and no host name: the evidence of a run is the same, however often and wherever it was interrupted.
Does not decide verdicts (`ctai.evidence.verdicts`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ctai.errors import CtaiError
from ctai.evidence.verdicts import read_verdict, verdict_path
from ctai.records import Metric, Verdict
from ctai.registry import GateSpec, gate_named
from ctai.rundir import RunDir, digest_of, sha256_file, write_bytes

_NOT_PASSED = ("failure", "error", "skipped")
_VOLATILE_ATTRIBUTES = ("time", "timestamp", "hostname")


class TestCase(NamedTuple):
    """Test case of a JUnit report.

    Attributes:
        report: path of the report, relative to the run directory.
        name: name of the test.
        outcome: `passed`, or the tag of the element that says otherwise (`failure`, `error`, `skipped`).
        message: message of that element; empty for a test that passed.
        properties: properties of the test case.
    """

    report: str
    name: str
    outcome: str
    message: str
    properties: dict[str, str]


def link_verdicts(report: Path, rundir: RunDir, verdicts: Mapping[str, Verdict | None]) -> None:
    """Add to each test case of a decided gate the path and the SHA-256 of its verdict; remove host names.

    Args:
        report: the finished JUnit file.
        rundir: the run directory.
        verdicts: verdicts of this session, by gate; one that was not written is not linked.
    """
    tree = ElementTree.parse(report)
    for suite in tree.iter("testsuite"):
        suite.attrib.pop("hostname", None)  # host names are in the session's log only, which is not shared
    for case in tree.iter("testcase"):
        properties = case.find("properties")
        if properties is None:
            continue
        gate = next((p.get("value", "") for p in properties if p.get("name") == "gate"), "")
        verdict = verdicts.get(gate)
        if verdict is None or not _is_on_disk(rundir, verdict):
            continue
        path = verdict_path(rundir, gate_named(gate))
        links = {"verdict": path, "verdict_sha256": sha256_file(rundir.path(path))}
        for name, value in links.items():
            ElementTree.SubElement(properties, "property", name=name, value=value)
    write_bytes(report, _xml(tree.getroot()))


def _is_on_disk(rundir: RunDir, verdict: Verdict) -> bool:
    """Return True if the verdict is the recorded one; digests are compared, since a nan equals nothing."""
    recorded = read_verdict(rundir, gate_named(verdict.gate))
    return recorded is not None and digest_of(recorded) == digest_of(verdict)


def strip_volatile_attributes(report: Path) -> bytes:
    """Return a finished JUnit file without times and host names."""
    root = ElementTree.parse(report).getroot()
    for element in root.iter():
        if element.tag in ("testsuites", "testsuite", "testcase"):
            for name in _VOLATILE_ATTRIBUTES:
                element.attrib.pop(name, None)
    return _xml(root)


def _xml(root: ElementTree.Element) -> bytes:
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def write_jenkins_report(report: Path, target: Path) -> None:
    """Write a copy of the report that is valid by the schema of Jenkins' xUnit plugin (junit-10.xsd).

    The schema allows no properties of a test case, and the plugin skips a file that has some. They are moved to the output
    of the test (`system-out`), which viewers show beside its name.
    """
    root = ElementTree.parse(report).getroot()
    for case in root.iter("testcase"):
        for name in ("file", "line"):
            case.attrib.pop(name, None)
        properties = case.find("properties")
        if properties is not None:
            lines = [f"{p.get('name')}: {p.get('value')}" for p in properties]
            case.remove(properties)
            ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    write_bytes(target, _xml(root))


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
        except ElementTree.ParseError as error:
            raise CtaiError(f"{name} is not a JUnit report: {error}") from error
        cases += [_case(name, element) for element in root.iter("testcase")]
    return cases


def _case(report: str, element: ElementTree.Element) -> TestCase:
    other = next((child for child in element if child.tag in _NOT_PASSED), None)
    outcome, message = ("passed", "") if other is None else (other.tag, other.get("message", ""))
    properties = {p.get("name", ""): p.get("value", "") for p in element.iter("property")}
    return TestCase(report, element.get("name", ""), outcome, message, properties)


def junit_differences(rundir: RunDir, gate: GateSpec, verdict: Verdict, cases: Iterable[TestCase]) -> Iterator[str]:
    """Yield where the reports differ from a verdict, or lack a test case of one of its metrics.

    Test cases that link another verdict belong to a decision that was replaced later; they are not compared.
    """
    digest = sha256_file(rundir.verdict(gate))
    linked = [case for case in cases if case.properties.get("verdict_sha256") == digest]
    missing = {metric.name for metric in verdict.metrics} - {case.properties.get("metric") for case in linked}
    if missing and verdict.passed:
        yield f"evidence/gates.xml: lacks a test case with the verdict of gate {gate.name} for {', '.join(sorted(missing))}"
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
