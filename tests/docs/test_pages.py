"""The pages say what the code says: metrics and thresholds, floors, messages, options; and their links lead somewhere."""

import ast
import re
from functools import cache

import pytest
from pydantic import BaseModel

from ctai.config import RunConfig
from ctai.evidence.verdicts import read_verdict
from ctai.registry import GATE_NAMES, GATES, gate_named
from ctai.rundir import RunDir
from tests.docs.pages import PAGES, ROOT, links
from tests.unit.test_architecture import FLOORS

pytestmark = pytest.mark.unit
DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_the_index_names_every_page():
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= set(links(DOCS / "README.md"))


# ------------------------------------------------------------------------------------------------- gates.md


def stated_thresholds() -> dict[str, dict[str, str]]:
    """For each gate's section of the page, its metrics with their thresholds."""
    sections = re.split(r"^## ", (DOCS / "gates.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    return {
        section.split()[1].rstrip(":"): dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.M))
        for section in sections
    }


@pytest.mark.parametrize("gate", GATE_NAMES)
def test_the_page_has_every_metric_with_the_threshold_that_the_gate_judged_it_by(gate, finished):
    configured = {"kept_examples": "`pilot.count`", "unique_examples": "`scale.count`"}
    verdict = read_verdict(RunDir(finished), gate_named(gate))
    judged = {m.name: f"{m.comparison} {configured.get(m.name) or f'{m.threshold:g}'}" for m in verdict.metrics}
    stated = stated_thresholds()
    # the rates of the pilot hold for the merged data too, and are not repeated
    again = {name: text for name, text in stated["pilot"].items() if name != "kept_examples"} if gate == "scale" else {}
    assert {**again, **stated[gate]} == judged


# ------------------------------------------------------------------------------------------ architecture.md


def test_the_picture_shows_the_floors():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    drawn = {int(floor): set(names.split(", ")) for floor, names in re.findall(r'F\d\["(\d): ([^"]+)"\]', page)}
    assert drawn == {floor: set(names) for floor, names in FLOORS.items()}


# --------------------------------------------------------------------------------------- troubleshooting.md


@cache
def said_by_the_code() -> tuple[str, ...]:
    """Every text of the package, with `…` for what is put into it."""
    texts = []
    for path in (ROOT / "ctai").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return tuple(" ".join(text.split()) for text in texts)


def messages() -> list[str]:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    return [" ".join(found.strip("`").split()) for found in re.findall(r"^### (`.+`)$", page, re.M)]


def is_said(message: str) -> bool:
    """Whether a text of the code can read like this: its pieces between `…` are in one text, in this order."""
    pattern = re.compile(".*".join(re.escape(piece.strip()) for piece in message.split("…")))
    return any(pattern.search(text) for text in said_by_the_code())


def test_every_message_of_the_page_is_in_the_code():
    assert len(messages()) > 25
    assert [message for message in messages() if not is_said(message)] == []


def test_a_message_that_nobody_says_is_found():
    assert not is_said("the moon is in the wrong …: wait")


# ------------------------------------------------------------------------------------------- options, settings


def test_the_quick_start_names_every_option_of_a_run(request):
    page = (DOCS / "quick_start.md").read_text(encoding="utf-8")
    group = next(group for group in request.config._parser._groups if group.name == "ctai")
    for option in group.options:
        assert f"`{option.names()[0]}" in page, option.names()


def settings(model: type[BaseModel] = RunConfig, prefix: str = "") -> dict[str, str | None]:
    """Every setting with its description."""
    found: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= settings(kind, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = field.description
    return found


def test_every_setting_has_its_meaning():
    assert [name for name, meaning in settings().items() if not meaning] == []


def test_settings_that_pages_name_are_there():
    sections = "|".join(
        name for name in RunConfig.model_fields if hasattr(RunConfig().__getattribute__(name), "model_dump")
    )
    named = {
        (page.name, found)
        for page in PAGES
        for found in re.findall(rf"`(?:--set )?((?:{sections})\.[a-z_]+)(?=[`=])", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    assert {(page, name) for page, name in named if name not in settings()} == set()


def test_gates_are_named_as_they_are():
    page = (DOCS / "gates.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+) (\w+):", page, re.M) == [(gate.number, gate.name) for gate in GATES]
