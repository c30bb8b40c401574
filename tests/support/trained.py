"""A run directory as a passed scale gate leaves it, training in it, and progress that interrupts training."""

from pathlib import Path

import torch

from ctai.config import Limits, RunConfig, TrainingSettings
from ctai.errors import CtaiError
from ctai.progress import SilentProgress
from ctai.prompts import CompletionStylePrompts
from ctai.qc.purity import PurityCounter
from ctai.records import Example, QcSummary, TokenStats, TrainingManifest, Verdict
from ctai.rundir import RunDir, sha256_file, write_json, write_jsonl
from ctai.train.sft import TrainingInputs, train_adapter
from tests.support import generated
from tests.support.context import stage_context

ANSWERS = ("Paris", "A dog, a cat and a cow", "7", "No")


def example(number: int) -> Example:
    """A different example for each number."""
    response = f"{ANSWERS[number % 4]} {number}"
    return generated.example(number, instruction=f"Say the word that has number {number}.", response=response)


def qc_summary(passed: bool = True) -> QcSummary:
    """The QC summary that training requires."""
    return QcSummary(
        stage="scale",
        counts={},
        acceptance={},
        purity=PurityCounter().ledger(),
        token_stats=TokenStats(n=1, median=1, mean=1, p95=1, maximum=1),
        margins={},
        rates={},
        thresholds=(),
        thresholds_passed=passed,
        failed_reasons=() if passed else ("runaway_rate 0.209 >= 0.05",),
        inputs={},
        run_id="run",
    )


class Prepared:
    """A run directory as a passed scale gate leaves it, with a method that trains in it."""

    def __init__(self, folder: Path, model, qc_passed=True, examples=16):
        self.rundir = RunDir.open(folder)
        self.model = model
        self.qc = self.rundir.path("data", "qc_summary.json")
        write_jsonl(self.rundir.dataset, [example(number) for number in range(examples)])
        write_json(self.qc, qc_summary(qc_passed))
        self.verdict = Verdict(
            gate="scale",
            outcome="passed",
            key="key",
            metrics=(),
            artifacts={self.rundir.relative(path): sha256_file(path) for path in (self.rundir.dataset, self.qc)},
            previous=None,
            reasons=(),
            config_digest="",
            code_digest="",
            weights_digest="",
            preregistration="",
        )

    def train(
        self, control="none", progress=None, verdict=None, checkpoint_seconds=1e9, **settings
    ) -> TrainingManifest:
        training = {"rank": 4, "batch_size": 8, "device_batch_size": 4, "learning_rate": 1e-2, **settings}
        self.config = RunConfig(
            control=control,
            training=TrainingSettings(gradient_checkpointing=False, **training),
            limits=Limits(checkpoint_seconds=checkpoint_seconds),
        )
        inputs = TrainingInputs(self.rundir.dataset, self.qc, verdict or self.verdict)
        return train_adapter(self.model, stage_context(self.rundir, self.config, progress), inputs)

    @property
    def adapter_bytes(self) -> bytes:
        """The weights that training wrote."""
        return (self.rundir.adapter_dir / "adapter_model.safetensors").read_bytes()


STEPS = 6  # 16 examples, 3 epochs, batches of 8
RETAINED = ("step-000002.safetensors", "step-000004.safetensors", "step-000006.safetensors")  # one an epoch


class StopsAfter(SilentProgress):
    """Progress that interrupts training after a number of steps, as a time limit does."""

    def __init__(self, steps: int):
        self.remaining = steps

    def advance(self, n: int = 1, note: str = "") -> None:
        self.remaining -= n
        if self.remaining <= 0:
            raise CtaiError("time limit")


class CountsSteps(SilentProgress):
    """Progress that records the step from which training resumed."""

    resumed_from = 0

    def advance(self, n: int = 1, note: str = "") -> None:
        if note == "resumed":
            self.resumed_from = n


def logits(model) -> torch.Tensor:
    """Next-token log-probabilities after four prompts, [4, vocabulary]."""
    prompts = [CompletionStylePrompts.zero_shot(example(number).instruction) for number in range(4)]
    vocabulary = range(len(model.tokenizer))
    return torch.tensor(model.engine.token_logprobs(prompts, vocabulary))
