"""Completion of the JUnit report that pytest wrote: one suite a gate, makers, links to verdicts, numbers as output.

Owns the form of the report in the evidence, which has no times and no host names, and of the copy for viewers of CI systems.
Does not compare a report with verdicts (`ctai.evidence.junit`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

from ctai.evidence.verdicts import read_verdict, verdict_path
from ctai.records import Verdict
from ctai.registry import GATES, GateSpec, gate_named
from ctai.rundir import RunDir, digest_of, sha256_file, write_bytes

MEASURED_BY = "measured_by."
_VOLATILE_ATTRIBUTES = ("time", "timestamp", "hostname")
_OTHER_TESTS = "other tests"


def complete_report(
    report: Path, rundir: RunDir, verdicts: Mapping[str, Verdict | None], started: Mapping[str, datetime]
) -> None:
    """Complete a finished JUnit file in place.

    Each gate becomes a suite with its time, its start and the makers of what its verdict judged (`measured_by.*`), beside the
    facts of the session (`reported_by.*`). Each test of a decided gate names its verdict with the SHA-256, and repeats its
    properties in `system-out`, which viewers show. Host names are removed: only the log of the session has them.

    Args:
        report: the JUnit file that pytest wrote.
        rundir: the run directory.
        verdicts: verdicts of this session, by gate; one that was not written is not linked.
        started: start of each gate (UTC).
    """
    root = ElementTree.parse(report).getroot()
    cases = list(root.iter("testcase"))
    for case in cases:
        _link_verdict(case, rundir, verdicts)
        _show_properties(case)
    old = next(root.iter("testsuite"), root)
    names = {gate.name for gate in GATES}
    groups = {gate: [case for case in cases if _gate_of(case) == gate.name] for gate in GATES}
    others = [case for case in cases if _gate_of(case) not in names]
    suites = [_gate_suite(gate, group, old, rundir, started) for gate, group in groups.items() if group]
    if others or not suites:
        suites.append(_suite(_OTHER_TESTS, others, old, old.get("timestamp", ""), {}))
    completed = ElementTree.Element("testsuites", name=root.get("name", "pytest tests"))
    completed.extend(suites)
    write_bytes(report, _xml(completed))


def _gate_of(case: ElementTree.Element) -> str:
    return next((p.get("value", "") for p in case.iter("property") if p.get("name") == "gate"), "")


def _link_verdict(case: ElementTree.Element, rundir: RunDir, verdicts: Mapping[str, Verdict | None]) -> None:
    """Add the path and the SHA-256 of the verdict that counts a test, if it is the recorded one."""
    properties, verdict = case.find("properties"), verdicts.get(_gate_of(case))
    if properties is None or verdict is None or not _is_on_disk(rundir, verdict):
        return
    path = verdict_path(rundir, gate_named(verdict.gate))
    links = {"verdict": path, "verdict_sha256": sha256_file(rundir.path(path))}
    for name, value in links.items():
        ElementTree.SubElement(properties, "property", name=name, value=value)


def _is_on_disk(rundir: RunDir, verdict: Verdict) -> bool:
    """Return True if the verdict is the recorded one; digests are compared, since a nan equals nothing."""
    recorded = read_verdict(rundir, gate_named(verdict.gate))
    return recorded is not None and digest_of(recorded) == digest_of(verdict)


def _show_properties(case: ElementTree.Element) -> None:
    """Repeat the properties of a test in its output, before anything that the test itself wrote."""
    lines = [f"{p.get('name')}: {p.get('value')}" for p in case.iter("property")]
    if not lines:
        return
    output = case.find("system-out")
    if output is None:
        output = ElementTree.SubElement(case, "system-out")
    output.text = "\n".join([*lines, *filter(None, [output.text])])


def _gate_suite(
    gate: GateSpec, cases: list[ElementTree.Element], old: ElementTree.Element, rundir: RunDir,
    started: Mapping[str, datetime],
) -> ElementTree.Element:  # fmt: skip
    """Return the suite of a gate."""
    verdict = read_verdict(rundir, gate)
    facts = measured_by(verdict) if verdict else {}
    begun = started[gate.name].isoformat() if gate.name in started else old.get("timestamp", "")
    return _suite(f"gate {gate.number} {gate.name}", cases, old, begun, facts)


def measured_by(verdict: Verdict) -> dict[str, str]:
    """Return the makers of what a verdict judged as properties `measured_by.*`; several values are joined by commas."""
    makers = [maker.model_dump(mode="json") for maker in verdict.measured_by]
    names = dict.fromkeys(name for maker in makers for name in maker)
    return {f"{MEASURED_BY}{name}": ", ".join(_unique(_text(maker[name]) for maker in makers)) for name in names}


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _suite(
    name: str, cases: list[ElementTree.Element], old: ElementTree.Element, timestamp: str, facts: Mapping[str, str]
) -> ElementTree.Element:
    """Return a suite with its counts, the properties of the session and further ones."""
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("error", "failure", "skipped")}
    seconds = sum(float(case.get("time", 0)) for case in cases)
    suite = ElementTree.Element(
        "testsuite", name=name, errors=str(counts["error"]), failures=str(counts["failure"]),
        skipped=str(counts["skipped"]), tests=str(len(cases)), time=f"{seconds:.3f}",
    )  # fmt: skip
    if timestamp:
        suite.set("timestamp", timestamp)
    properties = {p.get("name", ""): p.get("value", "") for p in old.findall("properties/property")} | dict(facts)
    if properties:
        element = ElementTree.SubElement(suite, "properties")
        for key, value in properties.items():
            ElementTree.SubElement(element, "property", name=key, value=value)
    suite.extend(cases)
    return suite


def strip_volatile_attributes(report: Path) -> bytes:
    """Return a finished JUnit file without times, host names and the paths of the code in the text of skipped tests."""
    root = ElementTree.parse(report).getroot()
    for element in root.iter():
        if element.tag == "skipped":
            element.text = element.get("message")  # pytest puts the path of the file before it
        if element.tag in ("testsuites", "testsuite", "testcase"):
            for name in _VOLATILE_ATTRIBUTES:
                element.attrib.pop(name, None)
    return _xml(root)


def write_jenkins_report(report: Path, target: Path) -> None:
    """Write a copy of a completed report that is valid by the schema of Jenkins' xUnit plugin (junit-10.xsd).

    The schema allows no properties of a test case, and the plugin skips a file that has some; the output of the test has the
    same text.
    """
    root = ElementTree.parse(report).getroot()
    for case in root.iter("testcase"):
        for name in ("file", "line"):
            case.attrib.pop(name, None)
        properties = case.find("properties")
        if properties is not None:
            case.remove(properties)
    write_bytes(target, _xml(root))


def _xml(root: ElementTree.Element) -> bytes:
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document
