"""Agreement of the documentation with the code: metrics, thresholds, layers, tree, messages, options and links."""

import ast
import configparser
import re
from functools import cache

import pytest
from pydantic import BaseModel

from ctai.config import RunConfig, threshold_of
from ctai.evaluate.attempts import with_corrected_alpha
from ctai.evidence.verdicts import read_verdict
from ctai.registry import GATES
from ctai.rundir import RunDir
from scripts.gate_tables import headings, with_tables
from tests.docs.pages import PAGES, ROOT, blocks, links

pytestmark = pytest.mark.unit
DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_the_index_names_every_page():
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= set(links(DOCS / "README.md"))


# ------------------------------------------------------------------------------------------------- gates.md


def test_the_tables_of_the_gates_follow_from_the_registry():
    text = (DOCS / "gates.md").read_text(encoding="utf-8")
    assert with_tables(text) == text, "run `python -m scripts.gate_tables`"
    assert [line for line in text.splitlines() if line.startswith("## ")] == list(headings())


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_gate_judges_by_the_thresholds_of_the_registry(gate, finished):
    verdict = read_verdict(RunDir(finished), gate)
    assert verdict is not None
    judged = {metric.name: (metric.comparison, metric.threshold) for metric in verdict.metrics}
    config = with_corrected_alpha(RunConfig.model_validate(verdict.config), 1)  # the first comparison on the test set
    assert judged == {metric.name: (metric.comparison, threshold_of(metric, config)) for metric in gate.metrics}


# ------------------------------------------------------------------------------- architecture.md, README.md


def test_the_layers_of_the_page_are_those_of_the_contract():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    drawn = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| \d+ \| ([^|]+) \|", page, re.M)]
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    layers = contract["importlinter:contract:layers"]["layers"].strip().splitlines()
    assert drawn == [layer.replace("|", " ").split() for layer in layers]


def test_the_tree_of_the_readme_is_that_of_the_disk():
    tree = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "text")[0]
    folder, drawn = "", set()
    for line in tree.splitlines():
        name = line.split()[0]
        folder = name if not line.startswith(" ") else folder
        drawn.add(name if name == folder else folder + name)
    assert [name for name in sorted(drawn) if not (ROOT / name).exists()] == []
    packages = {f"ctai/{path.parent.name}/" for path in (ROOT / "ctai").glob("*/__init__.py")}
    assert packages == {name for name in drawn if re.fullmatch(r"ctai/\w+/", name)}


def test_every_path_of_the_code_that_a_page_names_is_there():
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(
            r"`((?:ctai|tests|scripts|benchmarks|docs)/[\w./-]*\w[/\w.]*)`", page.read_text(encoding="utf-8")
        )
    }
    assert len(named) > 20
    assert sorted((page, name) for page, name in named if not (ROOT / name).exists()) == []


# --------------------------------------------------------------------------------------- troubleshooting.md


@cache
def texts_of_the_code() -> tuple[str, ...]:
    """Return every string of the package, with `…` for the variable parts."""
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


def is_in_code(message: str) -> bool:
    """Return whether a string of the code matches: it has the pieces between `…` in this order."""
    pattern = re.compile(".*".join(re.escape(piece.strip()) for piece in message.split("…")))
    return any(pattern.search(text) for text in texts_of_the_code())


def test_every_message_of_the_page_is_in_the_code():
    assert len(messages()) > 25
    assert [message for message in messages() if not is_in_code(message)] == []


def test_a_message_that_is_not_in_the_code_is_found():
    assert not is_in_code("the moon is in the wrong …: wait")


# ------------------------------------------------------------------------------------------- options, settings


def test_the_quick_start_names_every_option_of_a_run(request):
    page = (DOCS / "quick_start.md").read_text(encoding="utf-8")
    group = next(group for group in request.config._parser._groups if group.name == "ctai")
    for option in group.options:
        assert f"`{option.names()[0]}" in page, option.names()


def settings(model: type[BaseModel] = RunConfig, prefix: str = "") -> dict[str, str | None]:
    """Return every setting with its description."""
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
