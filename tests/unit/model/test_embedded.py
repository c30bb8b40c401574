"""Embedded base model as shipped: pinned digests, and metrics that meet the requirements."""

import copy
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

import ctai
from ctai.rundir import sha256_file
from scripts.build_embedded.acceptance import failed_criteria
from scripts.build_embedded.batches import make_shard

pytestmark = pytest.mark.unit
FOLDER = Path(ctai.__file__).parent / "model" / "embedded"
FIRST_SHARD = "115d852a47c6a7b88e91be4bce0188e2aff334175ae3efbfbc2d14b5b363b8fc"


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    return json.loads((FOLDER / "build.json").read_text(encoding="utf-8"))


def test_the_shipped_digests_are_those_of_the_build(build):
    assert sha256_file(FOLDER / "model.safetensors") == build["weights_sha256"]
    assert sha256_file(FOLDER / "tokenizer.json") == build["tokenizer_sha256"]
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert build["weights_sha256"] in card
    assert build["corpus_digest"] in card


def test_the_corpus_is_still_the_one_that_the_model_was_trained_on(build):
    """The first of 63 shards; `corpus_digest` in build.json covers all of them."""
    plan = build["plan"]
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    shard = make_shard(tokenizer, f"corpus/{plan['seed']}/0", plan["shape"]["context"])
    assert sha256(shard.tokens.tobytes()).hexdigest() == FIRST_SHARD


@pytest.mark.parametrize("precision", ["nf4", "float32"])
def test_the_metrics_meet_the_requirements(build, precision):
    metrics = build["metrics"][precision]
    for name in ("facts completed", "few-shot, held-out", "bare instructions answered"):
        assert metrics[name]["n"] >= 200
    assert failed_criteria(metrics) == []


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("facts completed", {"rate": 0.62}),
        ("bare instructions answered", {"high": 0.2}),
        ("pair critic, held-out: balanced accuracy", {"low": 0.58}),
        ("zero-shot content, held-out", {"high": 0.99}),
    ],
)
def test_a_build_that_falls_short_is_found(build, name, rate):
    metrics = copy.deepcopy(build["metrics"]["nf4"])
    metrics[name] |= rate
    assert len(failed_criteria(metrics)) == 1


def test_the_package_data_stays_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8_000_000
