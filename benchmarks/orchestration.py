"""Benchmark of orchestration: the share of a gates run outside the model."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import Row, Subject
from benchmarks.deep import write_deeper
from benchmarks.model_time import OUT
from ctai.evaluate.ledger import LEDGER_VARIABLE

_ROOT = Path(__file__).parents[1]


def run(subject: Subject, seed: int = 0, deeper: int = 1, **_sizes: object) -> list[Row]:
    """Return a row for the run and one for each gate: seconds, and the share outside the model.

    Args:
        subject: the embedded model; other models do not pass the gates and get no rows.
        seed: seed of the runs.
        deeper: multiple of the layers of the embedded model for a second run, which computes the same.
    """
    if subject.name != "embedded":
        return []
    rows = _rows("embedded", "embedded", seed)
    if deeper > 1:
        with tempfile.TemporaryDirectory() as folder:
            parameters = write_deeper(Path(folder), deeper)
            name = f"embedded, {deeper} times as deep, {parameters / 1e6:.0f}M parameters"
            rows += _rows(name, folder, seed)[:1]
    return rows


def _rows(name: str, model: str, seed: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model_time.json"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gates", "-p", "benchmarks.model_time"]
        command += ["-p", "no:cacheprovider", "--run-dir", f"{folder}/run", "--seed", str(seed), "--model", model]
        environment = {**os.environ, OUT: str(out), LEDGER_VARIABLE: f"{folder}/test_set_comparisons.jsonl"}
        done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
        if not out.exists():
            return [Row("orchestration", name, "gates run", "s", note=f"failed: {done.stdout[-200:]}")]
        measured = json.loads(out.read_text(encoding="utf-8"))
    passed = "passed" if done.returncode == 0 else f"exit status {done.returncode}"
    rows = [_row(name, f"gates run, {passed}", measured["total"])]
    return rows + [_row(name, gate, times) for gate, times in measured["gates"].items()]


def _row(model: str, name: str, times: list[float]) -> Row:
    wall, processor, model_wall, model_processor = times
    outside = processor - model_processor
    note = f"outside the model {(wall - model_wall) / wall:.1%} of it, and {outside / processor:.1%} of the processor's time"
    return Row("orchestration", model, name, "s", wall, note=note)
