"""Lenient reading of a run directory: missing, unreadable and odd files never stop the report."""

import re
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctai.records import Verdict
from ctai.registry import GATES
from ctai.rundir import RunDir, read_record, write_json
from tests.support.html_report import parsed, text_of, written_report
from tests.support.reported import LOSS

pytestmark = pytest.mark.unit


FILES = sorted(
    {
        "logs/session_manifest.json", "logs/budget_ledger.json", "evidence/preregistration.json",
        "data/heldout.jsonl", "data/stage1_sft_data.jsonl", "data/removed.jsonl",
        "data/qc_summary.json", "evidence/pilot_history.json", "evidence/contamination/model_check.json",
        "evidence/instruments/critic_pairs/calibration.json",
        "evidence/instruments/scorers/calibration.json", "evidence/instruments/detectors/calibration.json",
        "artifacts/pilot/dataset.jsonl",
        "artifacts/pilot/rejections.jsonl", "artifacts/pilot/generation.jsonl", "artifacts/pilot/qc_summary.json",
        "artifacts/shards/shard-000/dataset.jsonl", "artifacts/shards/shard-001/generation.jsonl", LOSS,
        "checkpoints/stage1_sft/training_manifest.json", "results/headroom/base/items.jsonl",
        "results/sft_eval/evaluation.json", "results/sft_eval/sft_items.jsonl", "results/sft_eval/base_items.jsonl",
        *(f"evidence/verdicts/{gate.number}-{gate.name}.json" for gate in GATES),
    }
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_obstacle(copied, name):
    copied.path(name).unlink()
    html = written_report(copied)
    parsed(html)
    assert "could not be read" not in html  # missing is not unreadable


@pytest.mark.parametrize("name", FILES)
def test_an_unreadable_file_is_said_and_left_out(copied, name):
    copied.path(name).write_bytes(b'{"schema_version":1,\xff\x00')
    html = written_report(copied)
    assert f"{name} could not be read and is left out:" in text_of(parsed(html))


def test_lines_that_can_be_read_are_shown(copied):
    path = copied.results_dir / "sft_items.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:9], b'{"raw": "\\ud800"}', *lines[10:]]))
    html = text_of(parsed(written_report(copied)))
    assert "1 of 20 lines are not valid EvaluationItem records (first: line 10)" in html
    assert "SFT: no answer recorded" in html


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(FILES),
    at=st.floats(0, 1),
    put=st.sampled_from([b"NaN", b"1e999", b"-1", b"null", b"[]", b'""', b"0", b"9" * 400, b"true"]),
)
def test_odd_values_never_stop_the_report(finished, tmp_path_factory, name, at, put):
    """Replace one value somewhere in one file by an odd one."""
    root = tmp_path_factory.mktemp("odd") / "run"
    shutil.copytree(finished.root, root)
    content = (root / name).read_bytes()
    values = list(re.finditer(rb"(?<=[:\[, ])(-?[0-9][0-9.eE+-]*|true|false|null)(?=[,}\]\n])", content))
    chosen = values[round(at * (len(values) - 1))]
    (root / name).write_bytes(content[: chosen.start()] + put + content[chosen.end() :])
    parsed(written_report(RunDir(root)))
    shutil.rmtree(root)


def test_a_verdict_that_names_a_file_elsewhere_does_not_make_the_report_read_it(copied):
    path = copied.verdict(GATES[0])
    write_json(path, read_record(path, Verdict).model_copy(update={"artifacts": {"/dev/zero": "0", "../../..": "1"}}))
    assert "/dev/zero is missing" in written_report(copied)
