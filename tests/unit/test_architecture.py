"""The architecture, held against the code: layers of imports, a test for every metric, a light start.

That every concern has one owner is tested in `tests/unit/provenance/test_canonical_use.py`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ctai

pytestmark = pytest.mark.unit

PACKAGE = Path(ctai.__file__).parent
ROOT = PACKAGE.parent
CONTRACTS = ROOT / ".importlinter"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the contracts against the package that lies in a folder."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    command = [sys.executable, "-c", code, str(CONTRACTS)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_imports_keep_the_contracts():
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout
    assert "Contracts: 4 kept, 0 broken." in run.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("statistics/paired.py", "def f():\n    from ctai.pipeline.run import Run", "Layers"),
        ("records/core.py", "if TYPE_CHECKING:\n    from ctai.records.data import Example", "No circles"),
        ("qc/summary.py", "def f():\n    import torch", "torch and transformers"),
        ("qc/summary.py", "import scipy.stats", "scipy and statsmodels"),
    ],
)
def test_an_import_that_breaks_a_contract_is_found(module, line, contract, tmp_path):
    copy = shutil.copytree(
        PACKAGE, tmp_path / "ctai", ignore=shutil.ignore_patterns("__pycache__", "embedded", "*.json*")
    )
    with (copy / module).open("a", encoding="utf-8") as source:
        source.write(f"\n\n{line}\n")
    run = lint_imports(tmp_path)
    assert run.returncode == 1
    assert contract in run.stdout.split("Broken contracts")[1]


def test_every_metric_of_every_gate_has_its_test():
    from ctai.registry import GATES

    command = [sys.executable, "-m", "pytest", "-m", "gates", "--collect-only", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, "tests/gates"], capture_output=True, text=True, check=True, cwd=ROOT)
    collected = sorted(line for line in run.stdout.splitlines() if "::" in line)
    names = [(gate.name, metric) for gate in GATES for metric in gate.metric_names]
    assert collected == sorted(f"tests/gates/test_{gate}.py::test_threshold[{metric}]" for gate, metric in names)


HEAVY = ("torch", "transformers")


@pytest.mark.parametrize(
    "code",
    [
        "import ctai, ctai.pytest_plugin, ctai.pytest_plugin.hooks, ctai.cli, ctai.verification.verify",
        "import ctai.cli; ctai.cli.main(['--help'])",
        "import pytest; assert pytest.main(['-m', 'gates', '--collect-only', '-q', '-p', 'no:cacheprovider']) == 0",
    ],
    ids=["import", "help", "collection of the gates"],
)
def test_nothing_heavy_is_imported_to_start(code):
    check = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(sys.modules.keys() & set({HEAVY}))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.splitlines()[-1] == "set()"
