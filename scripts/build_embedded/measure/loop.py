"""Prototype of the training loop: supervised fine-tuning on the accepted pairs, and the room that it leaves for preferences.

Hyperparameters are those of the profile ``embedded``, without a development split: the last adapter counts.
"""

import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch

from ctai.model.sources import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from ctai.progress import SilentProgress
from ctai.prompts import Pair
from ctai.records import Sampling
from ctai.train.data import data_order, encode_pairs, end_of_text_id
from ctai.train.loop import TrainedAdapter, TrainingPlan, fit
from ctai.train.schedule import steps_for
from scripts.build_embedded.measure.critics import JudgedPair
from scripts.build_embedded.measure.knowledge import Split
from scripts.build_embedded.measure.rates import Metrics, difference, number, share
from scripts.build_embedded.measure.subject import (
    CONFIG,
    GREEDY,
    Answer,
    Subject,
    by_type,
    correctness,
    right,
    zero_shot,
)

SAMPLES = 4
MIN_PAIRS = CONFIG.training.batch_size
WITH_CRITICS, WITHOUT_CRITICS = "SFT", "SFT without critics"


def measure_loop(subject: Subject, judged: Sequence[JudgedPair], splits: Sequence[Split]) -> Metrics:
    """Train with and without critics on equally many pairs, and compare the answers with few-shot ones."""
    result: Metrics = {}
    for name, pairs in _arms(subject, judged).items():
        result[f"{name}: pairs"] = number(len(pairs), len(judged))
        if len(pairs) < MIN_PAIRS:  # too few to train on: every metric of the arm is missing, and so is no target met
            continue
        with _trained(subject, pairs) as adapted:
            for split in splits:
                answers = adapted.answer(split.questions, zero_shot(split.questions), GREEDY)
                result |= _against_few_shot(name, split, answers)
            if name == WITH_CRITICS:
                result |= _measure_room(adapted, splits[0])
    return result


def _arms(subject: Subject, judged: Sequence[JudgedPair]) -> dict[str, list[Pair]]:
    accepted = [item.pair for item in judged if item.is_accepted]
    answered = [item.pair for item in judged if item.pair.response]
    drawn = random.Random(f"arms/{subject.seed}").sample(answered, len(accepted))
    return {
        name: [Pair(pair.instruction, pair.response) for pair in pairs]
        for name, pairs in ((WITH_CRITICS, accepted), (WITHOUT_CRITICS, drawn))
    }


@contextmanager
def _trained(subject: Subject, pairs: Sequence[Pair]) -> Iterator[Subject]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapter = fit(subject.model.module, _plan(subject, pairs), folder / "work", SilentProgress())
        _save(adapter, folder)
        with subject.adapted(folder) as adapted:
            yield adapted


def _plan(subject: Subject, pairs: Sequence[Pair]) -> TrainingPlan:
    settings, tokenizer = CONFIG.training, subject.model.tokenizer
    end = end_of_text_id(tokenizer, subject.model.provenance.control_token_ids)
    encoded = encode_pairs(tokenizer, pairs, end, settings.max_tokens).pairs
    steps = steps_for(len(encoded), settings.epochs, settings.batch_size)
    return TrainingPlan(
        pairs=encoded,
        order=data_order(len(encoded), settings.batch_size, steps, subject.seed),
        settings=settings,
        learning_rate=settings.learning_rate,
        checkpoint_every=steps,
        checkpoint_seconds=CONFIG.limits.checkpoint_seconds,
        padding_id=end,
        seed=subject.seed,
    )


def _save(adapter: TrainedAdapter, folder: Path) -> None:
    safetensors.torch.save_file(adapter.tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    (folder / ADAPTER_CONFIG).write_text(json.dumps(adapter.lora), encoding="utf-8")


def _against_few_shot(name: str, split: Split, answers: Sequence[Answer]) -> Metrics:
    return {
        **correctness(f"{name}, {split.name}", answers),
        **by_type(f"{name}, {split.name}", answers),
        f"{name} strict, {split.name}": share([answer.score.strict for answer in answers]),
        f"{name} stops, {split.name}": share([answer.completion.finish_reason == "eos" for answer in answers]),
        f"{name} over few-shot, {split.name}": difference(right(split.few_shot), right(answers)),
    }


def _measure_room(adapted: Subject, split: Split) -> Metrics:
    """Sample each question several times: an item with right and wrong answers gives a pair of preferences."""
    repeated = [question for question in split.questions for _ in range(SAMPLES)]
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=GREEDY.max_new_tokens)
    outcomes = right(adapted.answer(repeated, zero_shot(repeated), sampling, "preferences"))
    groups = [sum(outcomes[at : at + SAMPLES]) for at in range(0, len(outcomes), SAMPLES)]
    return {
        "after SFT: samples right at T = 1": share(outcomes),
        f"after SFT: items mixed at {SAMPLES} samples": share([0 < count < SAMPLES for count in groups]),
        f"after SFT: items never right at {SAMPLES} samples": share([not count for count in groups]),
    }
