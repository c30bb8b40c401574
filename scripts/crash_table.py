"""Generator of docs/crash_tests.md from the record of the crash tests.

CTAI_CRASH_RECORD=record.json pytest -m crash
python -m scripts.crash_table record.json > docs/crash_tests.md
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_INTRODUCTION = """# Crash tests

A gates run can be killed at any moment, by the kernel when memory runs out, by a machine that is preempted or by a power
loss: the same command resumes after the last finished batch and ends in the same bytes as an uninterrupted run.

How: a file is written under a temporary name, synced, renamed, and its folder synced. A stage is keyed by everything it
depends on, keeps each finished batch as a file, and writes its manifest last. Training writes a checkpoint at least every
`limits.checkpoint_seconds` (60), and dropout is seeded by the step. The lock of a run directory ends with its process, and
the next session that holds the lock removes files that a crash left half written.

`pytest -m crash` makes a whole run on the embedded model, and another one with the same seed, which is killed with SIGKILL,
together with its process group, and started again until it ends:

- at *named moments* of a write: `written` (between write and fsync), `torn` (the same, and half of what was not synced is
  lost, as in a power loss), `synced` (between fsync and rename), `renamed` (between rename and the fsync of the folder),
  `unrenamed` (the same, and the rename is lost), `durable` (after it: of a stage's last artifact, before its manifest; of
  its manifest, before the verdict);
- at *random moments*, up to 3 s after a session has finished a new artifact.

After every kill the session manifest must be valid, and every file must be whole. At the end every file outside `logs/`
and `report/` must be the same, byte for byte: data, shards, batches, checkpoints, adapter, answers, verdicts, the JUnit
report and the attestations. `logs/` holds the times (also the JUnit report as pytest wrote it), and the HTML report shows
them. `ctai verify` must find no difference.
"""


def table(record: dict[str, Any]) -> str:
    """Return docs/crash_tests.md as Markdown."""
    kills: list[list[str]] = record["kills"]
    named = Counter(stage for stage, where in kills if where != "random moment")
    random_kills = Counter(stage for stage, where in kills if where == "random moment")
    stages = list(dict.fromkeys(stage for stage, _ in kills))
    moments = Counter(where for _, where in kills)
    rows = [f"| {stage} | {named[stage]} | {random_kills[stage]} |" for stage in stages]
    commit = record["commit"] + (" (with uncommitted changes)" if record["dirty"] else "")
    seconds = record["seconds"]
    lines = [
        _INTRODUCTION,
        "## Last result",
        "",
        f"{record['date']}, commit {commit}, Python {record['python']}, {record['machine']}: **{len(kills)} kills, "
        f"{record['files']} files the same, byte for byte.**",
        "",
        "Command: `CTAI_CRASH_RECORD=record.json pytest -m crash`; each run is "
        f"`pytest -m gates {' '.join(record['arguments'])}`.",
        f"The uninterrupted run took {seconds['uninterrupted'] / 60:.0f} min, all of it {seconds['all'] / 60:.0f} min "
        "(on a machine with other work).",
        "",
        "| stage | killed at a named moment | killed at a random moment |",
        "| --- | ---: | ---: |",
        *rows,
        f"| **all** | **{sum(named.values())}** | **{sum(random_kills.values())}** |",
        "",
        "Moments: " + ", ".join(f"{where} {number}" for where, number in moments.most_common()) + ".",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
