"""Stages of a run by the files of a run directory."""

import re

_STAGES = (
    (r"evidence/preregistration\.json", "preregistration"),
    (r"evidence/contamination/", "contamination"),
    (r"artifacts/heldout/|data/heldout\.jsonl", "held-out set"),
    (r"evidence/instruments/", "instruments"),
    (r"artifacts/pilot|evidence/pilot_history\.json", "pilot"),
    (r"artifacts/shards/(shard-\d+)/", ""),
    (r"artifacts/merge/|data/", "merge"),
    (r"results/headroom/", "headroom"),
    (r"checkpoints/", "training"),
    (r"results/sft_eval/|evidence/evaluation/|evidence/test_set_comparisons\.jsonl", "evaluation"),
    (r"evidence/verdicts/", "verdicts"),
    (r"report/", "report"),
    (r"evidence/sessions\.json", "session log"),
    (r"evidence/gates\.xml", "JUnit report"),
    (r"evidence/attestations", "attestations"),
    (r"logs/", "log"),
)


def stage_of(name: str) -> str:
    """Return the stage of a file, by its name relative to the run directory."""
    for pattern, stage in _STAGES:
        if match := re.match(pattern, name):
            return stage or match[1]
    raise ValueError(f"{name} belongs to no stage")
