"""JUnit report in the forms that CI systems read, after real runs of pytest: passed, failed, blocked, in error.

`violations` holds a report against the rules of junit-10.xsd, the schema of Jenkins' xUnit plugin
(https://github.com/jenkinsci/xunit-plugin, src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd), for the
elements that pytest writes. That plugin skips a report that breaks one of them.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ctai.evidence.junit import junit_differences, read_cases
from ctai.evidence.verdicts import read_verdict
from ctai.registry import gate_named, metric_spec
from ctai.rundir import RunDir
from tests.unit.pytest_plugin.test_hooks import gates_project, run_pytest

pytestmark = pytest.mark.unit

TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
# element -> (attributes, of which required, children)
RULES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"}
        | {"file", "log", "url"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"name"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    **dict.fromkeys(("failure", "error", "skipped"), ({"type", "message"}, set(), set())),
    **dict.fromkeys(("system-out", "system-err"), (set(), set(), set())),
}  # fmt: skip


def violations(element: ElementTree.Element) -> Iterator[str]:
    """Yield what the schema does not allow in an element and below it."""
    if element.tag not in RULES:
        yield f"unknown element {element.tag}"
        return
    allowed, required, children = RULES[element.tag]
    yield from (f"{element.tag} has the attribute {name}" for name in element.attrib.keys() - allowed)
    yield from (f"{element.tag} lacks the attribute {name}" for name in required - element.attrib.keys())
    if element.tag in ("testsuites", "testsuite") and not TIME.fullmatch(element.get("time", "")):
        yield f"{element.tag} has the time {element.get('time')}"
    holds_text = element.tag in ("failure", "error", "skipped", "system-out", "system-err")
    if not holds_text and "".join([element.text or "", *(child.tail or "" for child in element)]).strip():
        yield f"{element.tag} holds text"
    for child in element:
        if child.tag not in children:
            yield f"{child.tag} in {element.tag}"
        yield from violations(child)


@pytest.fixture(scope="module", params=["0.01", "0.209", 'float("no number")'], ids=["passed", "failed", "error"])
def run(request, tmp_path_factory) -> tuple[str, Path]:
    """Return the injected value, and the run directory after the run."""
    project = gates_project(tmp_path_factory.mktemp("project"), request.param)
    done = run_pytest(project, "-q", "-m", "gates", "--run-dir", "run")
    assert done.returncode == (0 if request.param == "0.01" else 1), done.stdout
    return request.param, project / "run"


def test_the_report_for_viewers_breaks_no_rule_of_the_schema(run):
    root = ElementTree.parse(run[1] / "report" / "junit.xml").getroot()
    assert list(violations(root)) == []
    kinds = {child.tag for case in root.iter("testcase") for child in case}
    expected = {"0.01": {"system-out"}, "0.209": {"system-out", "failure", "skipped"}}
    assert kinds == expected.get(run[0], {"system-out", "error", "skipped"})


def test_the_name_of_the_host_is_in_neither(run):
    for name in ("report/junit.xml", "evidence/gates.xml"):
        assert not [e for e in ElementTree.parse(run[1] / name).iter() if "hostname" in e.attrib]


def test_it_says_all_that_the_evidence_says(run):
    evidence = ElementTree.parse(run[1] / "evidence" / "gates.xml").getroot()
    shown = ElementTree.parse(run[1] / "report" / "junit.xml").getroot()
    assert [c.attrib["name"] for c in evidence.iter("testcase")] == [c.attrib["name"] for c in shown.iter("testcase")]
    for case, copy in zip(evidence.iter("testcase"), shown.iter("testcase"), strict=True):
        lines = [f"{p.attrib['name']}: {p.attrib['value']}" for p in case.iter("property")]
        assert copy.findtext("system-out", "") == "\n".join(lines)


def test_each_gate_is_a_suite_with_its_time_and_its_start(run):
    suites = list(ElementTree.parse(run[1] / "report" / "junit.xml").iter("testsuite"))
    assert [suite.attrib["name"] for suite in suites] == [
        "gate 1 contamination", "gate 2 instruments", "gate 3 headroom", "gate 4 pilot",
    ]  # fmt: skip
    for suite in suites:
        cases = suite.findall("testcase")
        assert suite.attrib["tests"] == str(len(cases))
        assert float(suite.attrib["time"]) == pytest.approx(sum(float(case.attrib["time"]) for case in cases), abs=1e-3)
        failed = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
        counts = (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["skipped"])
        assert counts == tuple(map(str, failed.values()))
        names = {p.attrib["name"] for p in suite.findall("properties/property")}
        assert {"reported_by.git_commit", "reported_by.device", "seed", "weights_digest"} <= names
    begun = [suite.attrib["timestamp"] for suite in suites if suite.attrib["timestamp"].endswith("+00:00")]
    assert begun == sorted(begun)
    assert len(begun) >= (4 if run[0] == "0.01" else 2)
    filed = ElementTree.parse(run[1] / "evidence" / "gates.xml")
    assert not [e for e in filed.iter() if {"time", "timestamp", "hostname"} & e.attrib.keys()]


def test_the_evidence_itself_breaks_the_schema_only_in_what_a_test_carries(run):
    found = set(violations(ElementTree.parse(run[1] / "evidence" / "gates.xml").getroot()))
    assert found == {"properties in testcase", "testcase has the attribute file", "testcase has the attribute line"}


def test_a_failure_has_one_line_as_its_message_and_the_advice_in_its_text(run):
    if run[0] != "0.209":
        pytest.skip("nothing was missed")
    root = ElementTree.parse(run[1] / "evidence" / "gates.xml").getroot()
    failures = list(root.iter("failure"))
    assert failures
    for failure in failures:
        metric = failure.attrib["message"].split()[0]
        assert failure.attrib["message"] == f"{metric} 0.209 must be < 0.05"
        assert (failure.text or "").startswith(failure.attrib["message"])
        assert f"try next: {metric_spec(metric).remedy}" in (failure.text or "")
        assert "Traceback" not in (failure.text or "")


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("<testcase name='a'><properties/></testcase>", "properties in testcase"),
        ("<testcase line='1' name='a'/>", "testcase has the attribute line"),
        ("<testcase/>", "testcase lacks the attribute name"),
        ("<testsuite name='a' tests='1' failures='0' errors='0' time='1e3'/>", "testsuite has the time 1e3"),
        ("<testsuites>loose</testsuites>", "testsuites holds text"),
        ("<rerun/>", "unknown element rerun"),
    ],
)
def test_a_report_that_breaks_a_rule_is_found(planted, what):
    assert what in list(violations(ElementTree.fromstring(planted)))


# ------------------------------------------------------------------------------------- metrics that do not apply


@pytest.fixture(scope="module")
def partly(tmp_path_factory) -> Path:
    """Run directory of gates of which one metric does not apply."""
    project = gates_project(tmp_path_factory.mktemp("project"), 0.01)
    conftest = project / "conftest.py"
    metric = 'Metric(name=name, value=value, comparison="<", threshold=0.05'
    without = 'value=float("nan") if name == "heldout_power" else value'
    sentence = 'n=0, applicable=name != "heldout_power", note="no such items"'
    assert metric in conftest.read_text()
    changed = f'Metric(name=name, {without}, comparison="<", threshold=0.05, {sentence}'
    conftest.write_text(conftest.read_text().replace(metric, changed))
    done = run_pytest(project, "-m", "gates", "--run-dir", "run")
    assert done.returncode == 0, done.stdout
    assert "       heldout_power not applicable: no such items\n" in done.stdout
    return project / "run"


def test_its_test_is_skipped_for_that_reason_and_the_gate_passes(partly):
    root = ElementTree.parse(partly / "evidence" / "gates.xml").getroot()
    (case,) = (case for case in root.iter("testcase") if "heldout_power" in case.attrib["name"])
    assert [skipped.attrib["message"] for skipped in case.iter("skipped")] == ["not applicable: no such items"]
    properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
    assert (properties["value"], properties["n"], properties["applicable"]) == ("nan", "0", "false")
    shown = ElementTree.parse(partly / "report" / "junit.xml").getroot()
    assert list(violations(shown)) == []


def changed_case(partly: Path, tmp_path: Path, change) -> list[str]:
    """Return the differences of gate instruments after a change of the test case in a copy of the run."""
    copy = Path(shutil.copytree(partly, tmp_path / "copy"))
    path = copy / "evidence" / "gates.xml"
    tree = ElementTree.parse(path)
    (case,) = (case for case in tree.iter("testcase") if "heldout_power" in case.attrib["name"])
    change(case)
    tree.write(path)
    rundir, gate = RunDir(copy), gate_named("instruments")
    verdict = read_verdict(rundir, gate)
    assert verdict is not None
    return list(junit_differences(rundir, gate, verdict, read_cases(rundir)))


def test_the_skip_agrees_with_its_verdict_and_no_other_outcome_does(partly, tmp_path):
    assert changed_case(partly, tmp_path / "a", lambda case: None) == []
    (passed,) = changed_case(partly, tmp_path / "b", lambda case: case.remove(case.find("skipped")))
    assert passed.endswith("has the outcome passed '', but heldout_power is not applicable")
    (other,) = changed_case(partly, tmp_path / "c", lambda case: case.find("skipped").set("message", "no time"))
    assert "has the outcome skipped 'no time', but heldout_power is not applicable" in other


def test_a_skip_of_a_test_that_applies_is_not_accepted(partly, tmp_path):
    path = tmp_path / "run" / "evidence" / "gates.xml"
    shutil.copytree(partly, tmp_path / "run")
    tree = ElementTree.parse(path)
    (case,) = (case for case in tree.iter("testcase") if "heldout_effective_items" in case.attrib["name"])
    ElementTree.SubElement(case, "skipped", message="not applicable: no such items")
    tree.write(path)
    rundir, gate = RunDir(tmp_path / "run"), gate_named("instruments")
    verdict = read_verdict(rundir, gate)
    assert verdict is not None
    (difference,) = junit_differences(rundir, gate, verdict, read_cases(rundir))
    assert "has the outcome skipped, but the verdict says passed" in difference
