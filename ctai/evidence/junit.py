"""The JUnit report as evidence: test cases that carry the verdict they led to, and their comparison with the verdicts.

Owns the properties `verdict` and `verdict_sha256`, and the form of the report for the viewers of CI systems. pytest writes
the report when all is over, so they are added to the finished file. What is filed is the report without its times and host
name, which are the log's: evidence of the same run is the same, however often and wherever the run was interrupted.
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
from ctai.rundir import RunDir, sha256_file, write_bytes

_NOT_PASSED = ("failure", "error", "skipped")
_VOLATILE_ATTRIBUTES = ("time", "timestamp", "hostname")


class TestCase(NamedTuple):
    """One test case: the file it is in, what became of it, and its properties."""

    report: str
    name: str
    outcome: str
    properties: dict[str, str]


def link_verdicts(report: Path, rundir: RunDir, verdicts: Mapping[str, Verdict | None]) -> None:
    """Add to each test case of a decided gate the path and the SHA-256 of the verdict file; take the host's name out.

    Args:
        report: the finished JUnit file.
        rundir: where the verdicts lie.
        verdicts: what this session decided, by gate; a verdict that was not written is not named.
    """
    tree = ElementTree.parse(report)
    for suite in tree.iter("testsuite"):
        suite.attrib.pop("hostname", None)  # host names are in the session's log only, which is not shared
    for case in tree.iter("testcase"):
        properties = case.find("properties")
        if properties is None:
            continue
        gate = next((p.get("value", "") for p in properties if p.get("name") == "gate"), "")
        decided = verdicts.get(gate)
        if decided is None or decided != read_verdict(rundir, gate_named(gate)):
            continue
        path = verdict_path(rundir, gate_named(gate))
        named = {"verdict": path, "verdict_sha256": sha256_file(rundir.path(path))}
        for name, value in named.items():
            ElementTree.SubElement(properties, "property", name=name, value=value)
    write_bytes(report, _xml(tree.getroot()))


def strip_volatile_attributes(report: Path) -> bytes:
    """A finished JUnit file without times and host name."""
    root = ElementTree.parse(report).getroot()
    for element in root.iter():
        if element.tag in ("testsuites", "testsuite", "testcase"):
            for name in _VOLATILE_ATTRIBUTES:
                element.attrib.pop(name, None)
    return _xml(root)


def _xml(root: ElementTree.Element) -> bytes:
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def write_jenkins_report(report: Path, target: Path) -> None:
    """Write the report once more as the schema of Jenkins' xUnit plugin allows it (junit-10.xsd).

    There a test has no properties, and a file that gives it some is passed over as a whole. So they become what the test
    has printed, which viewers show beside its name.
    """
    root = ElementTree.parse(report).getroot()
    for case in root.iter("testcase"):
        for name in ("file", "line"):
            case.attrib.pop(name, None)
        properties = case.find("properties")
        if properties is not None:
            lines = [f"{one.get('name')}: {one.get('value')}" for one in properties]
            case.remove(properties)
            ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    write_bytes(target, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def read_cases(rundir: RunDir) -> list[TestCase]:
    """The test cases of all reports in the evidence.

    Raises:
        CtaiError: a report is not XML.
    """
    found = []
    for path in sorted(rundir.evidence.glob("gates*.xml")):
        name = rundir.relative(path)
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            raise CtaiError(f"{name} is not a JUnit report: {error}") from error
        found += [_case(name, element) for element in root.iter("testcase")]
    return found


def _case(report: str, element: ElementTree.Element) -> TestCase:
    outcome = next((child.tag for child in element if child.tag in _NOT_PASSED), "passed")
    properties = {p.get("name", ""): p.get("value", "") for p in element.iter("property")}
    return TestCase(report, element.get("name", ""), outcome, properties)


def junit_differences(rundir: RunDir, gate: GateSpec, verdict: Verdict, cases: Iterable[TestCase]) -> Iterator[str]:
    """What the reports say otherwise than a verdict, or do not say.

    Cases that name another verdict belong to a decision that was replaced later, and say nothing of this one.
    """
    digest = sha256_file(rundir.path(verdict_path(rundir, gate)))
    own = [case for case in cases if case.properties.get("verdict_sha256") == digest]
    silent = {metric.name for metric in verdict.metrics} - {case.properties.get("metric") for case in own}
    if silent and verdict.passed:
        yield f"evidence/gates.xml: names the verdict of gate {gate.name} in no test case of {', '.join(sorted(silent))}"
    for metric in verdict.metrics:
        for case in (case for case in own if case.properties.get("metric") == metric.name):
            yield from (f"{case.report}: {case.name} {what}" for what in _wrong(case, gate, metric, verdict))


def _wrong(case: TestCase, gate: GateSpec, metric: Metric, verdict: Verdict) -> Iterator[str]:
    said = case.properties
    if case.outcome != "passed" and verdict.passed:
        yield f"has the outcome {case.outcome}, but the verdict says passed"
    if case.outcome == "passed" and not metric.passed:
        yield f"passed, but {metric.failure()}"
    expected = {"gate": gate.name, "threshold": metric_threshold(metric)}
    if metric.artifact is not None:
        expected |= {"artifact": metric.artifact, "artifact_sha256": verdict.artifacts.get(metric.artifact, "")}
    yield from (
        f"has {name} {said.get(name)!r}, the verdict {v!r}" for name, v in expected.items() if said.get(name) != v
    )
    if not _same_number(said.get("value", ""), metric.value):
        yield f"has value {said.get('value')!r}, the verdict {metric.value!r}"


def metric_threshold(metric: Metric) -> str:
    """A metric's threshold as the report says it, such as `< 0.05`."""
    return f"{metric.comparison} {metric.threshold:g}"


def _same_number(text: str, value: float) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return number == value or (math.isnan(number) and math.isnan(value))
