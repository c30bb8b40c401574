"""Generator of docs/faults.md: for each fault its injection, the check that stops it and the outcome of the test.

`python -m scripts.fault_table` runs every test with the mark `fault` and writes the table from the JUnit report;
`--junitxml FILE...` takes the reports of earlier runs (`pytest -m fault --junitxml FILE`); of a test in several reports
the last one counts.
"""

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ctai.rundir import write_text
from tests.faults.catalogue import FAULTS

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "faults.md"
HEAD = """# Fault injection

Each fault below happened in an earlier implementation of this pipeline. The tests inject it by means that a user has too:
a setting, a model folder, a data file, an adapter, a record, a call. No check is patched. Where a gate stops a run, the test
also asserts that the later gates are blocked and that no work is lost: it stays in place or moves to `superseded/`.

This page is generated, with the outcomes of a real run of the tests, by

    python -m scripts.fault_table

Tests that need a run start from copies of one finished run and are selected by `pytest -m faults`; the others are part of
the unit and contamination tests.
"""


class InjectedFault(NamedTuple):
    """Fault as one test injects it, over all cases of that test."""

    number: int
    plant: str
    check: str
    test: str
    outcome: str
    says: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; return 1 if a fault was not caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--junitxml", type=Path, nargs="+", metavar="FILE", help="reports of earlier runs of `pytest -m fault`"
    )
    reports = parser.parse_args(arguments).junitxml
    with tempfile.TemporaryDirectory() as folder:
        if reports is None:
            reports = [Path(folder) / "faults.xml"]
            subprocess.run([sys.executable, "-m", "pytest", "-m", "fault", "-q", f"--junitxml={reports[0]}"], cwd=ROOT)
        cases = [case for report in reports for case in ElementTree.parse(report).iter("testcase")]
        faults = injected_faults({(case.attrib["classname"], case.attrib["name"]): case for case in cases}.values())
    DOCUMENT.parent.mkdir(exist_ok=True)
    write_text(DOCUMENT, document(faults))
    caught = {fault.number for fault in faults if fault.outcome == "caught"}
    print(f"{DOCUMENT.relative_to(ROOT)}: {len(caught)} of {len(FAULTS)} faults caught, {len(faults)} injections")
    is_complete = all(fault.outcome.startswith(("caught", "known")) for fault in faults) and caught == set(FAULTS)
    return 0 if is_complete else 1


def injected_faults(cases: Iterable[ElementTree.Element]) -> list[InjectedFault]:
    """Return the rows of the table in the order of the faults; the cases of one test share a row."""
    rows = sorted((row for case in cases for row in _rows(case)), key=lambda row: row[:4])
    merged = []
    for _, group in groupby(rows, key=lambda row: row[:4]):
        same_test = list(group)
        worst = next((row for row in same_test if row.outcome != "caught"), same_test[0])
        merged.append(worst)
    return merged


def _rows(case: ElementTree.Element) -> list[InjectedFault]:
    """Return a row for each mark; its three properties are adjacent, `fault` first."""
    pairs = [(p.attrib["name"], p.attrib["value"]) for p in case.iter("property")]
    says = next((value for name, value in pairs if name == "says"), "")
    starts = [index for index, (name, _) in enumerate(pairs) if name == "fault"]
    test = f"{case.attrib['classname'].removeprefix('tests.')}.{case.attrib['name'].split('[')[0]}"
    marks = [dict(pairs[start : start + 3]) for start in starts]
    return [InjectedFault(int(m["fault"]), m["plant"], m["check"], test, _outcome(case), says) for m in marks]


def _outcome(case: ElementTree.Element) -> str:
    for child in case:
        if child.tag in ("failure", "error"):
            return "**not caught**"
        if child.tag == "skipped":
            known = child.attrib.get("type") == "pytest.xfail"
            return f"{'known gap' if known else 'not run'}: {child.attrib['message']}"
    return "caught"


def document(faults: Sequence[InjectedFault]) -> str:
    """Return docs/faults.md."""
    lines = [HEAD, "| # | fault | injection | stopped by | outcome |", "| --- | --- | --- | --- | --- |"]
    for number, title in FAULTS.items():
        rows = [fault for fault in faults if fault.number == number]
        if not rows:
            lines.append(f"| {number} | {title} |  |  | **not injected** |")
        lines += [f"| {number} | {title} | {_cell(o.plant)} | {_cell(o.check)} | {_message(o)} |" for o in rows]
    return "\n".join([*lines, "", "## The tests", "", *_tests(faults), ""])


def _message(row: InjectedFault) -> str:
    return _cell(f"{row.outcome}: {row.says}" if row.says else row.outcome)


def _tests(faults: Sequence[InjectedFault]) -> list[str]:
    names = sorted({(fault.test, fault.number) for fault in faults})
    grouped = groupby(names, key=lambda pair: pair[0])
    return [f"* `{test}`: {', '.join(str(number) for _, number in pairs)}" for test, pairs in grouped]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(main())
