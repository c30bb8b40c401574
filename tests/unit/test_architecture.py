"""The house plan, held against the code: imports go down, and every concern has one owner.

Each rule is shown to catch a planted violation, so that a rule that cannot fail is found out.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ctai

pytestmark = pytest.mark.unit

PACKAGE = Path(ctai.__file__).parent
FLOORS = {
    1: ("records", "errors"),
    2: ("config", "config_layers", "config_text", "prompts", "statistics", "rundir", "provenance", "_files"),
    3: ("tasks", "qc", "detectors"),
    4: ("model",),
    5: (
        "generate",
        "train",
        "train_checkpoint",
        "train_controls",
        "train_data",
        "train_loop",
        "evaluate",
        "evaluate_summary",
    ),
    6: ("gates",),
    7: ("gate_session", "pytest_plugin", "pytest_early", "report", "export", "explain"),
    8: ("cli",),
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}


MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package by its dotted name below `ctai`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        if name != "__init__":
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module, *, top_level: bool) -> set[str]:
    """Names of the ctai modules that a module imports; at the top level only, or anywhere."""
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "ctai":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ctai."):
            base = node.module.removeprefix("ctai.")
            found |= {name if (name := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("ctai.") for a in node.names if a.name.startswith("ctai.")}
    return found


def upward(name: str, tree: ast.Module) -> list[str]:
    """Imports that go to a higher floor."""
    floor = FLOOR_OF[name.split(".")[0]]
    return [target for target in imported(tree, top_level=False) if FLOOR_OF.get(target.split(".")[0], 0) > floor]


def test_every_module_has_a_floor():
    assert {name.split(".")[0] for name, _ in sources()} <= FLOOR_OF.keys()


def test_imports_never_go_up():
    assert {name: found for name, tree in sources() if (found := upward(name, tree))} == {}


def test_an_upward_import_is_found():
    assert upward("statistics", ast.parse("def f():\n    from ctai.pipeline.run import Run")) != []


def test_there_are_no_circles():
    graph = {name: imported(tree, top_level=True) for name, tree in sources()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circle: {' -> '.join((*path, name))}"
        if name in done or name not in graph:
            return
        for target in graph[name]:
            visit(target, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


# ------------------------------------------------------------------------------------------------- canonical use

Rule = Callable[[ast.AST], bool]


def loads_a_model(node: ast.AST) -> bool:
    """A `from_pretrained` or `torch.load` call."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    is_torch_load = node.func.attr == "load" and isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
    return node.func.attr == "from_pretrained" or is_torch_load


def assigns_a_chat_template(node: ast.AST) -> bool:
    """An assignment to the attribute, plain, annotated or by `setattr`."""
    names = ("chat_template", "apply_chat_template")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
        return any(isinstance(arg, ast.Constant) and arg.value in names for arg in node.args[1:2])
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(t, ast.Attribute) and t.attr in names for t in targets)


def holds_prompt_text(node: ast.AST) -> bool:
    """A string that frames a prompt, as our templates do: a label at its start or after a line end, ended by a colon."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    lines = node.value.splitlines()
    return any(line.startswith(("Instruction:", "Response:", "INSTRUCTION:", "RESPONSE:", "Label:")) for line in lines)


def scores_labels(node: ast.AST) -> bool:
    """A use of the label names, or a call for the log-probabilities of next tokens."""
    if isinstance(node, ast.Name):
        return node.id in ("LABEL_GOOD", "LABEL_BAD")
    return isinstance(node, ast.Attribute) and node.attr == "token_logprobs"


def computes_statistics(node: ast.AST) -> bool:
    """An import of a statistics package, or a quantile by numpy."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
        return node.attr in ("quantile", "median", "percentile", "nanquantile", "nanmedian", "nanpercentile")
    names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and node.module:
        names = [node.module]
    return any(name.split(".")[0] in ("scipy", "statsmodels", "sklearn", "statistics") for name in names)


RULES: dict[str, tuple[Rule, frozenset[str], tuple[str, ...]]] = {
    # rule -> (what it looks for, who may, planted violations)
    "loading": (
        loads_a_model,
        # clean attaches adapters; train_loop reads back its own checkpoints
        frozenset({"model.loader", "model.clean", "train_loop"}),
        ("AutoModelForCausalLM.from_pretrained('x')", "torch.load('x')"),
    ),
    "chat template": (
        assigns_a_chat_template,
        frozenset({"model.contamination"}),
        (
            "tokenizer.chat_template = '{{ messages }}'",
            "setattr(x, 'chat_template', None)",
            "x.chat_template: str = ''",
        ),
    ),
    "prompt text": (holds_prompt_text, frozenset({"prompts"}), ("prompt = f'Instruction: {x}\\nResponse:'",)),
    "label scoring": (
        scores_labels,
        # the engine offers log-probabilities; sentinels ask them of control tokens, the arm check of the whole vocabulary
        # seeds and probes say which label an example deserves
        frozenset({"prompts", "generate.critic", "generate.calibration", "model.engine", "model.sentinels", "evaluate"})
        | {"tasks.seeds", "tasks.probes"},
        ("engine.token_logprobs(prompts, ids)", "good = label == LABEL_GOOD"),
    ),
    "statistics": (
        computes_statistics,
        frozenset({"statistics"}),
        (
            "from scipy.stats import binomtest",
            "import statsmodels.api as sm",
            "from statistics import median",
            "low = np.quantile(values, 0.05)",
            "middle = np.median(values)",
            "high = numpy.percentile(values, 95)",
        ),
    ),
}


def without_docstrings(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes but those of docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    return (node for node in ast.walk(tree) if id(node) not in docstrings)


def owners(rule: Rule) -> set[str]:
    """The modules in which a rule finds something."""
    return {name for name, tree in sources() if any(rule(node) for node in without_docstrings(tree))}


@pytest.mark.parametrize("name", RULES)
def test_each_concern_has_one_owner(name):
    rule, allowed, _ = RULES[name]
    found = owners(rule)
    assert found <= allowed
    assert found, f"the rule {name!r} finds nothing at all: it no longer fits the code"


@pytest.mark.parametrize(("name", "violation"), [(name, text) for name in RULES for text in RULES[name][2]])
def test_a_second_owner_is_found(name, violation):
    rule = RULES[name][0]
    assert any(rule(node) for node in without_docstrings(ast.parse(violation)))


def test_every_metric_of_every_gate_has_its_test():
    from ctai.registry import GATES

    texts = [path.read_text(encoding="utf-8") for path in (Path(__file__).parents[1] / "gates").glob("test_*.py")]
    for gate in GATES:
        (own,) = (text for text in texts if f'mark.gate("{gate.name}")' in text)
        for metric in gate.metrics:
            assert f'"{metric}")' in own, f"gate {gate.name}: no test of its own asserts {metric}"


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
