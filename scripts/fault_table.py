"""Writes docs/faults.md: for each fault how it is planted, what stops it and what came of it when the tests were run.

`python -m scripts.fault_table` runs every test with the mark `fault` and writes the table from the JUnit report;
`--junitxml FILE...` takes the reports of runs that were made before (`pytest -m fault --junitxml FILE`); a test that stands
in several counts as in the last.
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

from tests.faults.catalogue import FAULTS

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "faults.md"
HEAD = """# Planted faults

Each fault below happened in an earlier implementation of this pipeline. The tests plant it by what a user could do too:
a setting, a model folder, a data file, an adapter, a record, a call. No check is patched. Where a run is stopped, the test
also asserts that the later gates are blocked and that no work is lost: it stays in place or lies in `superseded/`.

This page is generated, with the outcomes of a real run of the tests, by

    python -m scripts.fault_table

Those that need a run start from copies of one finished run and are selected by `pytest -m faults`; the others are part of
the unit and contamination tests.
"""


class Planted(NamedTuple):
    """A fault as one test plants it, over all cases of that test."""

    number: int
    plant: str
    check: str
    test: str
    outcome: str
    says: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; 1 if a fault was not caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--junitxml", type=Path, nargs="+", metavar="FILE", help="reports of `pytest -m fault` that are there already"
    )
    reports = parser.parse_args(arguments).junitxml
    with tempfile.TemporaryDirectory() as folder:
        if reports is None:
            reports = [Path(folder) / "faults.xml"]
            subprocess.run([sys.executable, "-m", "pytest", "-m", "fault", "-q", f"--junitxml={reports[0]}"], cwd=ROOT)
        cases = [case for report in reports for case in ElementTree.parse(report).iter("testcase")]
        found = planted({(case.attrib["classname"], case.attrib["name"]): case for case in cases}.values())
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(found), encoding="utf-8")
    caught = {one.number for one in found if one.outcome == "caught"}
    print(
        f"{DOCUMENT.relative_to(ROOT)}: {len(caught)} of {len(FAULTS)} faults caught, {len(found)} ways to plant them"
    )
    return 0 if all(one.outcome.startswith(("caught", "known")) for one in found) and caught == set(FAULTS) else 1


def planted(cases: Iterable[ElementTree.Element]) -> list[Planted]:
    """The rows of the table, in order of the faults, the cases of one test together."""
    rows = sorted((row for case in cases for row in _rows(case)), key=lambda row: row[:4])
    merged = []
    for _, group in groupby(rows, key=lambda row: row[:4]):
        same = list(group)
        worst = next((row for row in same if row.outcome != "caught"), same[0])
        merged.append(worst)
    return merged


def _rows(case: ElementTree.Element) -> list[Planted]:
    """One row for each mark: its properties stand in a row, beginning with `fault`."""
    pairs = [(p.attrib["name"], p.attrib["value"]) for p in case.iter("property")]
    says = next((value for name, value in pairs if name == "says"), "")
    starts = [index for index, (name, _) in enumerate(pairs) if name == "fault"]
    test = f"{case.attrib['classname'].removeprefix('tests.')}.{case.attrib['name'].split('[')[0]}"
    marks = [dict(pairs[start : start + 3]) for start in starts]
    return [Planted(int(m["fault"]), m["plant"], m["check"], test, _outcome(case), says) for m in marks]


def _outcome(case: ElementTree.Element) -> str:
    for child in case:
        if child.tag in ("failure", "error"):
            return "**not caught**"
        if child.tag == "skipped":
            known = child.attrib.get("type") == "pytest.xfail"
            return f"{'known gap' if known else 'not run'}: {child.attrib['message']}"
    return "caught"


def document(found: Sequence[Planted]) -> str:
    """The page."""
    lines = [HEAD, "| # | fault | planted | stopped by | outcome |", "| --- | --- | --- | --- | --- |"]
    for number, title in FAULTS.items():
        own = [one for one in found if one.number == number]
        if not own:
            lines.append(f"| {number} | {title} |  |  | **not planted** |")
        lines += [f"| {number} | {title} | {_cell(o.plant)} | {_cell(o.check)} | {_said(o)} |" for o in own]
    return "\n".join([*lines, "", "## The tests", "", *_tests(found), ""])


def _said(row: Planted) -> str:
    return _cell(f"{row.outcome}: {row.says}" if row.says else row.outcome)


def _tests(found: Sequence[Planted]) -> list[str]:
    names = sorted({(one.test, one.number) for one in found})
    grouped = groupby(names, key=lambda pair: pair[0])
    return [f"* `{test}`: {', '.join(str(number) for _, number in pairs)}" for test, pairs in grouped]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(main())
