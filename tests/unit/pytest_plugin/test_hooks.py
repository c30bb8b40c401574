"""Gates under pytest: refusals, blocking, exit status and JUnit report, each in a process of its own."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ctai.evidence.junit_report import strip_volatile_attributes
from ctai.records import SessionLog
from ctai.registry import GATE_NAMES
from ctai.rundir import read_record, sha256_file

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[3]

FAKE_GATES = """
import pytest
from ctai.registry import gate_named
from ctai.evidence.result import GateResult
from ctai.records import ContaminationReport, Metric, ModelProvenance
from ctai.rundir import write_json

def examined(run):
    # the record of gate contamination, which later gates read
    provenance = ModelProvenance(
        loader_version="1", requested="embedded", model_id="embedded", revision=None, tokenizer_digest="t",
        weights_digest=run.base.weights_digest, architecture="Llama", parameters=1, requested_quantization="none",
        quantization="none", double_quantization=False, compute_dtype="float32", device="cpu", template_disabled=True,
        template_was_present=True, add_special_tokens=False, bos_allowed=False, special_token_delta=0,
        control_token_ids=(), control_tokens=(),
    )
    path = run.rundir.path("evidence", "contamination", "model_check.json")
    write_json(path, ContaminationReport(findings=(), provenance=provenance))

def measured(run, gate, value):
    metrics = tuple(
        Metric(name=name, value=value, comparison="<", threshold=0.05) for name in gate_named(gate).metric_names
    )
    return run.finish_gate(GateResult(gate, metrics, {}, run.base.weights_digest), reused=False)

@pytest.fixture(scope="session")
def contamination(gate_run):
    examined(gate_run)
    return measured(gate_run, "contamination", 0.0)

@pytest.fixture(scope="session")
def instruments(gate_run):
    gate_run.require_passed("contamination")
    return measured(gate_run, "instruments", VALUE)

@pytest.fixture(scope="session")
def headroom(gate_run):
    gate_run.require_passed("instruments")
    return measured(gate_run, "headroom", 0.0)

@pytest.fixture(scope="session")
def pilot(gate_run):
    gate_run.require_passed("headroom")
    gate_run.rundir.path("artifacts", "pilot").mkdir(parents=True, exist_ok=True)
    return measured(gate_run, "pilot", 0.0)

@pytest.fixture(scope="session")
def scale(gate_run):
    gate_run.require_passed("pilot")
    return measured(gate_run, "scale", 0.0)

@pytest.fixture(scope="session")
def evaluation(gate_run):
    gate_run.require_passed("scale")
    return measured(gate_run, "evaluation", 0.0)
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


def gates_project(folder: Path, value: float, gates: tuple[str, ...] = GATE_NAMES[:4]) -> Path:
    """A project with small gates, of which the second measures `value` against a limit of 0.05."""
    folder.mkdir(exist_ok=True)
    (folder / "conftest.py").write_text(
        'pytest_plugins = ("ctai.pytest_plugin",)\n' + FAKE_GATES.replace("VALUE", str(value))
    )
    (folder / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\nmarkers =\n  gates\n")
    for gate in gates:
        lines = [
            "import pytest",
            "from ctai.registry import gate_named",
            "",
            f"@pytest.mark.gates\n@pytest.mark.gate('{gate}')",
        ]
        lines += [f"@pytest.mark.parametrize('name', gate_named('{gate}').metric_names)"]
        lines += [f"def test_{gate}({gate}, judge, name):", f"    metric = judge({gate}, name)"]
        lines += ["    assert metric.passed, metric.sentence()"]
        (folder / f"test_{gate}.py").write_text("\n".join(lines) + "\n")
    return folder


def cases(folder: Path) -> dict[str, ElementTree.Element]:
    report = ElementTree.parse(folder / "run" / "evidence" / "gates.xml")
    return {case.attrib["name"]: case for case in report.iter("testcase")}


def test_a_failed_gate_blocks_the_later_ones_visibly(tmp_path):
    done = run_pytest(gates_project(tmp_path, 0.209), "-m", "gates", "--run-dir", "run")
    assert done.returncode == 1
    found = cases(tmp_path)
    blocked = found["test_pilot[runaway_rate]"].find("skipped")
    assert blocked is not None
    assert blocked.attrib["message"].startswith("blocked by gate instruments: heldout_effective_items 0.209 >= 0.05")
    assert not (tmp_path / "run" / "artifacts" / "pilot").exists()
    assert found["test_instruments[heldout_effective_items]"].find("failure") is not None
    assert "heldout_effective_items" in (tmp_path / "run" / "report" / "index.html").read_text()


def test_sound_gates_pass_and_the_report_carries_the_numbers(tmp_path):
    done = run_pytest(gates_project(tmp_path, 0.01), "-m", "gates", "--run-dir", "run")
    assert done.returncode == 0, done.stdout
    case = cases(tmp_path)["test_instruments[heldout_effective_items]"]
    properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
    verdict = "evidence/verdicts/2-instruments.json"
    assert properties == {
        "gate": "instruments", "metric": "heldout_effective_items", "value": "0.01", "threshold": "< 0.05",
        "verdict": verdict, "verdict_sha256": sha256_file(tmp_path / "run" / verdict),
    }  # fmt: skip
    suite = ElementTree.parse(tmp_path / "run" / "evidence" / "gates.xml").getroot()
    names = {p.attrib["name"] for p in suite.iter("property")}
    assert {"weights_digest", "seed", "reported_by.git_commit", "reported_by.torch", "reported_by.platform"} <= names
    assert " 2  instruments   PASSED" in done.stdout
    page = tmp_path / "run" / "report" / "index.html"
    assert f"report: {page}" in done.stdout
    assert "<h1" in page.read_text()


def test_a_report_that_the_user_wants_elsewhere_is_filed_too(tmp_path):
    project = gates_project(tmp_path, 0.01)
    done = run_pytest(project, "-m", "gates", "--run-dir", "run", "--junitxml", "mine.xml")
    assert done.returncode == 0, done.stdout
    filed = (tmp_path / "run" / "evidence" / "gates.xml").read_bytes()
    assert filed == strip_volatile_attributes(tmp_path / "mine.xml")
    assert b"verdict_sha256" in filed
    statement = (tmp_path / "run" / "evidence" / "attestations.intoto.jsonl").read_text().splitlines()[-1]
    assert '"name":"evidence/gates.xml"' in statement


def test_a_gate_with_a_deselected_threshold_has_not_passed(tmp_path):
    project = gates_project(tmp_path, 0.01)
    deselected = "test_instruments.py::test_instruments[heldout_power]"
    done = run_pytest(project, "-m", "gates", "--run-dir", "run", "--deselect", deselected)
    assert done.returncode == 1
    blocked = cases(tmp_path)["test_pilot[runaway_rate]"].find("skipped")
    assert blocked is not None
    assert blocked.attrib["message"] == "blocked by gate instruments: heldout_power was not tested"


def test_a_gate_with_a_skipped_test_has_not_passed(tmp_path):
    project = gates_project(tmp_path, 0.01)
    skipped = "\n@pytest.mark.gates\n@pytest.mark.gate('headroom')\n@pytest.mark.skip(reason='no time')\ndef test_more(): ...\n"
    with (project / "test_headroom.py").open("a") as file:
        file.write(skipped)
    done = run_pytest(project, "-m", "gates", "--run-dir", "run")
    assert done.returncode == 1
    assert "test_more was skipped: no time" in done.stdout
    assert " 3  headroom      INCOMPLETE" in done.stdout


def test_a_gate_of_which_a_part_is_done_is_skipped_with_the_reason_and_has_not_passed(tmp_path):
    project = gates_project(tmp_path, 0.01)
    conftest = project / "conftest.py"
    unfinished = 'from ctai.errors import IncompleteError\n    raise IncompleteError("shard(s) 0 are missing")\n    '
    conftest.write_text(conftest.read_text().replace("gate_run.rundir.path(", f"{unfinished}gate_run.rundir.path("))
    done = run_pytest(project, "-m", "gates", "--run-dir", "run")
    assert done.returncode == 1
    skipped = cases(tmp_path)["test_pilot[runaway_rate]"].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"].endswith("shard(s) 0 are missing")
    table = done.stdout.split(" gates ")[-1]
    assert " 4  pilot         NOT MEASURED" in table
    assert "       shard(s) 0 are missing\n" in table
    assert "instruments   PASSED" in table
    assert not (tmp_path / "run" / "evidence" / "verdicts" / "4-pilot.json").exists()


def test_a_later_gate_alone_refuses_and_names_the_missing_evidence(tmp_path):
    done = run_pytest(gates_project(tmp_path, 0.01), "-m", "gates", "--run-dir", "run", "-k", "pilot")
    assert done.returncode == 4
    assert "gate pilot cannot start: there is no verdict of gate contamination" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_later_gate_alone_runs_on_the_standing_evidence(tmp_path):
    project = gates_project(tmp_path, 0.01)
    assert run_pytest(project, "-m", "gates", "--run-dir", "run", "-k", "not pilot").returncode == 0
    assert run_pytest(project, "-m", "gates", "--run-dir", "run", "-k", "pilot").returncode == 0


PLAIN_TEST = """
import os, pytest

@pytest.mark.gates
def test_plain():
    assert os.environ.get("PLAIN") != "fails", "not what was expected"
"""


@pytest.mark.fault(41, plant="a plain `assert False` beside passed gates", check="session log, terminal, report")
def test_a_failed_test_of_no_gate_is_red_everywhere_until_a_whole_session_passes(tmp_path, monkeypatch):
    project, run = gates_project(tmp_path, 0.01, GATE_NAMES), ("-m", "gates", "--run-dir", "run")
    (project / "test_plain.py").write_text(PLAIN_TEST)
    evidence = project / "run" / "evidence"
    log, report, page = evidence / "sessions.json", evidence / "gates.xml", project / "run" / "report" / "index.html"

    assert run_pytest(project, *run).returncode == 0
    assert read_record(log, SessionLog).failed_tests == {}
    suites = [suite.attrib["name"] for suite in ElementTree.parse(report).iter("testsuite")]
    assert suites == [f"gate {number} {name}" for number, name in enumerate(GATE_NAMES, start=1)] + ["other tests"]
    whole = report.read_bytes()

    monkeypatch.setenv("PLAIN", "fails")
    done = run_pytest(project, *run)
    assert done.returncode == 1
    failed = {"test_plain.py::test_plain": "not what was expected"}
    assert f"NOT PASSED: 1 failed test: {'; '.join(f'{name}: {text}' for name, text in failed.items())}" in done.stdout
    assert read_record(log, SessionLog).failed_tests == failed
    assert "Not passed: a test of the gates failed." in page.read_text()
    assert report.read_bytes() == whole  # its verdicts still stand
    (beside,) = evidence.glob("gates-*.xml")
    assert b"not what was expected" in beside.read_bytes()

    monkeypatch.delenv("PLAIN")
    assert run_pytest(project, *run, "-k", "contamination or plain").returncode == 0
    assert read_record(log, SessionLog).failed_tests == failed
    assert "Not passed: a test of the gates failed." in page.read_text()
    assert run_pytest(project, *run).returncode == 0
    assert read_record(log, SessionLog).failed_tests == {}
    assert "All six gates passed" in page.read_text()
    assert report.read_bytes() == whole


def test_a_file_of_gate_tests_that_is_left_out_does_not_clear_its_failure(tmp_path):
    project, run = gates_project(tmp_path, 0.01, GATE_NAMES), ("-m", "gates", "--run-dir", "run", ".")
    more = project / "tests" / "gates" / "test_more.py"
    more.parent.mkdir(parents=True)
    more.write_text("def test_more():\n    assert False\n")
    log = project / "run" / "evidence" / "sessions.json"
    assert run_pytest(project, *run).returncode == 1
    failed = read_record(log, SessionLog).failed_tests
    assert list(failed) == ["tests/gates/test_more.py::test_more"]
    assert run_pytest(project, *run, "--ignore=tests/gates/test_more.py").returncode == 0
    assert read_record(log, SessionLog).failed_tests == failed
    more.write_text("def test_more():\n    pass\n")
    assert run_pytest(project, *run).returncode == 0
    assert read_record(log, SessionLog).failed_tests == {}


def test_a_file_that_cannot_be_collected_is_a_failed_test(tmp_path):
    project = gates_project(tmp_path, 0.01, GATE_NAMES)
    (project / "test_broken.py").write_text("import nothing_of_this_name\n")
    done = run_pytest(project, "-m", "gates", "--run-dir", "run", "--continue-on-collection-errors")
    assert done.returncode == 1
    log = read_record(project / "run" / "evidence" / "sessions.json", SessionLog)
    assert list(log.failed_tests) == ["test_broken.py"]
    assert "NOT PASSED: 1 failed test: test_broken.py" in done.stdout


def test_the_report_in_the_evidence_has_no_path_of_the_machine(tmp_path):
    project = gates_project(tmp_path, 0.5, GATE_NAMES)
    assert run_pytest(project, "-m", "gates", "--run-dir", "run").returncode == 1
    report = (project / "run" / "evidence" / "gates.xml").read_text()
    assert "<skipped" in report
    assert str(ROOT) not in report
    assert str(tmp_path) not in report


@pytest.mark.fault(41, plant="a failing test in tests/gates without a mark", check="marks of the plugin, session log")
def test_a_test_that_its_author_forgot_to_mark_runs_with_the_gates(tmp_path):
    project = gates_project(tmp_path, 0.01, ())
    (project / "tests" / "gates").mkdir(parents=True)
    (project / "tests" / "gates" / "test_more.py").write_text("def test_more():\n    assert False\n")
    done = run_pytest(project, "-m", "gates", "--run-dir", "run")
    assert done.returncode == 1
    log = read_record(project / "run" / "evidence" / "sessions.json", SessionLog)
    assert log.failed_tests == {"tests/gates/test_more.py::test_more": "assert False"}
    assert "NOT PASSED: 1 failed test: tests/gates/test_more.py::test_more: assert False" in done.stdout
    assert run_pytest(project, "-m", "not gates", "tests").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_only_a_whole_session_replaces_the_report_of_a_whole_run(tmp_path):
    project, run = gates_project(tmp_path, 0.01, GATE_NAMES), ("-m", "gates", "--run-dir", "run")
    report = project / "run" / "evidence" / "gates.xml"
    assert run_pytest(project, *run).returncode == 0
    whole = report.read_bytes()
    run_pytest(project, *run, "--deselect", "test_evaluation.py::test_evaluation[content_lift]")
    assert report.read_bytes() == whole
    assert len(list(report.parent.glob("gates-*.xml"))) == 1
    assert run_pytest(project, *run, "test_contamination.py").returncode == 0
    assert report.read_bytes() == whole
    conftest = project / "conftest.py"
    conftest.write_text(conftest.read_text().replace('"instruments", 0.01', '"instruments", 0.2'))
    assert run_pytest(project, *run).returncode == 1
    assert b"heldout_effective_items 0.2" in report.read_bytes()  # its verdict of gate instruments was replaced


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "nonexistent/path.d/x"), "there is no such folder"),
        (("--run-dir", "conftest.py"), "cannot be written"),
        (("--set", "pilot.cuont=1"), "did you mean count?"),
        (("--profile", "nowhere.toml"), "neither embedded nor pod nor a TOML file"),
        (("-n", "2"), "gates cannot run under xdist"),
        (("--shards", "2", "--only-shards", "2"), "Write numbers from 0 to 1"),
        (("--shards", "0"), "scale.shards"),
    ],
)
def test_a_wrong_use_is_one_sentence_at_once(tmp_path, arguments, sentence):
    done = run_pytest(gates_project(tmp_path, 0.01), "-m", "gates", *arguments)
    assert done.returncode == 4
    assert sentence in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


def test_gpu_without_a_cuda_device_is_a_usage_error(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = run_pytest(gates_project(tmp_path, 0.01), "-m", "gates", "--gpu", "--run-dir", "run")
    assert done.returncode == 4
    assert "no CUDA device on this machine. Leave out --gpu to run on the CPU" in done.stderr


def test_a_plain_run_leaves_the_gates_out():
    done = run_pytest(ROOT, "--collect-only", "-q", "-m", "unit or contamination", "tests/unit/test_architecture.py")
    assert done.returncode == 0
    for folder in ("tests/gates", "tests/../tests/gates/"):
        done = run_pytest(ROOT, folder)
        assert done.returncode == 4
        assert "runs only with `-m gates`" in done.stderr
