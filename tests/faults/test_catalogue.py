"""Completeness of fault injection: every fault has a test that injects it, and docs/faults.md lists the injections."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.faults.catalogue import FAULTS

pytestmark = pytest.mark.unit
TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "faults.md"


class Mark(NamedTuple):
    """`fault` mark of a test file."""

    where: str
    number: Any
    keywords: dict[str, Any]


def marks(text: str, where: str) -> Iterator[Mark]:
    """Yield every `pytest.mark.fault(...)` in a source text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
            keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
            yield Mark(where, ast.literal_eval(node.args[0]), keywords)


MARKS = [
    mark for path in sorted(TESTS.rglob("test_*.py")) for mark in marks(path.read_text(encoding="utf-8"), path.name)
]


@pytest.mark.parametrize("number", FAULTS)
def test_every_fault_has_a_test_that_injects_it(number: int) -> None:
    assert number in {mark.number for mark in MARKS}


def test_every_mark_names_a_known_fault_its_injection_and_its_check() -> None:
    assert list(FAULTS) == sorted(FAULTS)
    assert set(range(1, 29)) <= FAULTS.keys()
    wrong = [m for m in MARKS if m.number not in FAULTS or set(m.keywords) != {"plant", "check"}]
    assert wrong == []


def test_the_document_lists_every_injection() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [m for m in MARKS if f"| {m.keywords['plant']} | {m.keywords['check']} |" not in text]
    assert missing == [], "run python -m scripts.fault_table"
    assert [title for title in FAULTS.values() if title not in text] == []


def test_a_mark_is_found_wherever_it_stands() -> None:
    text = (
        "@pytest.mark.fault(\n    3, plant='a', check='b'\n)\ndef test(): ...\n\n@pytest.mark.faults\ndef other(): ..."
    )
    assert list(marks(text, "x")) == [Mark("x", 3, {"plant": "a", "check": "b"})]
