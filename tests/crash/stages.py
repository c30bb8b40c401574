"""Which stage a file of a run directory belongs to."""

import re

_STAGES = (
    (r"evidence/preregistration\.json", "preregistration"),
    (r"evidence/contamination/", "contamination"),
    (r"artifacts/heldout/|data/heldout\.jsonl", "held-out set"),
    (r"evidence/instruments/", "instruments"),
    (r"artifacts/pilot|evidence/pilot_ladder\.json", "pilot"),
    (r"artifacts/shards/(shard-\d+)/", ""),
    (r"artifacts/merge/|data/", "merge"),
    (r"results/headroom/", "headroom"),
    (r"checkpoints/", "training"),
    (r"results/sft_eval/|evidence/evaluation/|evidence/looks\.jsonl", "evaluation"),
    (r"evidence/verdicts/", "verdicts"),
    (r"report/", "report"),
    (r"evidence/gates\.xml", "JUnit report"),
    (r"evidence/attestations", "attestations"),
    (r"logs/", "log"),
)


def stage_of(name: str) -> str:
    """The stage of a file, by its name relative to the run directory."""
    for pattern, stage in _STAGES:
        if match := re.match(pattern, name):
            return stage or match[1]
    raise ValueError(f"{name} belongs to no stage")
