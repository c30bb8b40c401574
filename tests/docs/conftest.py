"""Workspace for the commands of the documentation: a finished run, a model, families, and programs on the PATH."""

import json
import shutil
from importlib import resources
from pathlib import Path

import pytest

from ctai.tasks import plugins
from tests.docs.pages import ROOT, blocks
from tests.docs.stand_in import write
from tests.support.finished import CONFIG, make_finished_run

PAGE = ROOT / "docs" / "own_families.md"
RIGHT, WRONG = (4, "IV"), (9, "XI")


def write_families(folder: Path, labels: int = 16) -> Path:
    """Write the plugin of docs/own_families.md with its labels and more of the same kinds; return its path."""
    page = PAGE.read_text(encoding="utf-8")
    module = folder / "my_families.py"
    module.write_text(blocks(page, "python")[0], encoding="utf-8")
    lines = blocks(page, "jsonl")[0].splitlines()
    for number in range(labels - len(lines)):
        key, answer = (RIGHT, WRONG)[number % 2]
        right = number % 2 == 0
        label = {
            "family": "roman_numeral", "instruction": f"Write {key} as a Roman numeral.", "response": f" {answer}",
            "finish_reason": "eos", "content": right, "strict": right, "kind": "plain",
        }  # fmt: skip
        lines.append(json.dumps(label))
    (folder / "my_answers.jsonl").write_text("".join(f"{line}\n" for line in lines[:labels]), encoding="utf-8")
    return module


@pytest.fixture(scope="session")
def finished_with_families(tiny_model, tmp_path_factory) -> Path:
    """Finished run with the families of docs/own_families.md."""
    folder = tmp_path_factory.mktemp("finished families")
    name = str(write_families(folder))
    update = {"families": (name,), "families_sha256": plugins.activate([name])}
    config = CONFIG.model_copy(update={"generation": CONFIG.generation.model_copy(update=update)})
    try:
        return make_finished_run(folder / "run", tiny_model, config)
    finally:
        plugins.activate(())


@pytest.fixture
def workspace(finished, finished_with_families, tmp_path) -> Path:
    """Working directory for the commands of the documentation."""
    shutil.copytree(finished, tmp_path / "runs" / "embedded-embedded-seed0")
    shutil.copytree(finished_with_families, tmp_path / "runs" / "mine")
    shutil.copytree(str(resources.files("ctai.model") / "embedded"), tmp_path / "my-base-model")
    write_families(tmp_path)
    (tmp_path / "bin").mkdir()
    for program in ("ctai", "pytest", "pip", "python", "python3"):
        write(tmp_path / "bin" / program)
    return tmp_path
