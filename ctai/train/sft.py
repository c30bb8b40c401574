"""Supervised fine-tuning of an adapter as a stage: admission of the inputs, training, manifest.

Owns the refusals, the training manifest and the success marker. Does not own tokens and order of the data
(`ctai.train.data`) or the optimization (`ctai.train.loop`).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import safetensors.torch

from ctai.config import RunConfig
from ctai.errors import PreconditionError
from ctai.model.control_tokens import InputGuard
from ctai.model.protocols import TextEngine
from ctai.model.reference import require_base
from ctai.model.sources import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_digest
from ctai.prompts import Pair
from ctai.provenance import UNKNOWN, StageContext
from ctai.records import Example, ModelProvenance, QcSummary, TrainingManifest, TrainingSuccess, Verdict
from ctai.rundir import (
    SUCCESS_MARKER,
    RunDir,
    Stage,
    read_jsonl,
    read_record,
    sha256_file,
    write_bytes,
    write_json,
    write_jsonl,
)
from ctai.train.controls import training_pairs
from ctai.train.data import EncodedPairs, data_order, encode_pairs, end_of_text_id
from ctai.train.loop import DevelopmentPlan, TrainedAdapter, TrainingPlan, fit
from ctai.train.schedule import evaluation_interval, may_stop_early, steps_for
from ctai.train.split import split_pairs

UNTRAINED_LEARNING_RATE = 1e-9


class TrainableModel(Protocol):
    """A model that can be trained; only `provenance` is read when a complete training is reused."""

    @property
    def module(self) -> Any:
        """Module of transformers."""
        ...

    @property
    def tokenizer(self) -> Any:
        """Tokenizer of the model."""
        ...

    @property
    def engine(self) -> TextEngine:
        """Inference engine, which holds the context length."""
        ...

    @property
    def provenance(self) -> ModelProvenance:
        """Identity of the weights."""
        ...


class TrainingInputs(NamedTuple):
    """Files to train on, and the verdict on them.

    Attributes:
        dataset: JSONL of examples, below the run directory.
        qc_summary: the QC summary of that dataset, below the run directory.
        verdict: of the scale gate; it must name both files with their digests.
    """

    dataset: Path
    qc_summary: Path
    verdict: Verdict


class _AdmittedInputs(NamedTuple):
    """Inputs that the scale gate passed, with the digest of the dataset.

    Thresholds and the verdict on them are no input of the training: another threshold must not train again.
    """

    dataset: Path
    dataset_digest: str
    qc_summary: Path


class _Data(NamedTuple):
    """Data of a training.

    Attributes:
        examples: pairs of the dataset without its development split.
        changed: number of pairs that the control changed.
        encoded: pairs to train on, in tokens.
        dev: development split, in tokens; its pairs are those of the dataset under every control.
        dev_note: reason why there is no development split, or empty.
    """

    examples: int
    changed: int
    encoded: EncodedPairs
    dev: EncodedPairs
    dev_note: str


class _Training(NamedTuple):
    """Model, inputs, plan, data and result of a finished training."""

    model: TrainableModel
    inputs: _AdmittedInputs
    plan: TrainingPlan
    data: _Data
    adapter: TrainedAdapter


def train_adapter(
    model: TrainableModel, context: StageContext, inputs: TrainingInputs, attempt: int = 0
) -> TrainingManifest:
    """Train a LoRA adapter on a dataset that passed the scale gate.

    Writes `adapter_model.safetensors`, `adapter_config.json`, `loss.jsonl`, `dev_loss.jsonl`, `training_manifest.json`
    and, last, `TRAINING_SUCCESS`. A call with the same inputs and settings reuses a complete training, and resumes an interrupted
    one at its last checkpoint with the same result.

    Args:
        model: the base that passed gate contamination; its weights are not changed.
        context: of the run; `training`, `control`, `seed` and `limits.checkpoint_seconds` are used.
        inputs: the dataset, its QC summary and the verdict on them.
        attempt: number of the attempt, from 0; each has its own adapter folder and evaluation.

    Raises:
        ContaminationError: the model is a reference model.
        PreconditionError: the scale gate has not passed on exactly these files, or an adapter is attached to the model.
        CtaiError: no token carries loss, there is no usable end-of-text token, or training failed.
    """
    config, rundir = context.config, context.rundir
    require_base(model.provenance)
    if model.provenance.adapter_digest is not None:
        raise PreconditionError("training starts from the base: unload the adapter that is attached to it")
    admitted = _admit(inputs, rundir)
    folder = rundir.adapter_dir_of(attempt)
    stage = _stage(model, admitted, context, folder)
    if stage.complete():
        return read_record(folder / "training_manifest.json", TrainingManifest)
    data = _data(model, read_jsonl(inputs.dataset, Example), config)
    plan = _plan(data, model, config)
    stage.begin()
    adapter = fit(model.module, plan, folder / "work", context.progress)
    manifest = _write(_Training(model, admitted, plan, data, adapter), context, attempt)
    names = (ADAPTER_WEIGHTS, ADAPTER_CONFIG, "loss.jsonl", "dev_loss.jsonl", "training_manifest.json", SUCCESS_MARKER)
    stage.finish([folder / name for name in names], context.run_id)
    return manifest


def _admit(inputs: TrainingInputs, rundir: RunDir) -> _AdmittedInputs:
    """Check that the scale gate passed on exactly these files, and return them with their digests."""
    dataset, qc_summary, verdict = inputs
    if verdict.gate != "scale" or not verdict.passed:
        raise PreconditionError(
            f"training needs a passed verdict of gate scale, but this one is {verdict.outcome} of gate "
            f"{verdict.gate}; run gate scale first"
        )
    dataset_digest, _ = (_checked_digest(path, verdict, rundir) for path in (dataset, qc_summary))
    summary = read_record(qc_summary, QcSummary)
    if not summary.thresholds_passed:
        reasons = ", ".join(summary.failed_reasons) or "no reason is given"
        raise PreconditionError(f"training refused: {qc_summary.name} has thresholds_passed=false ({reasons})")
    return _AdmittedInputs(dataset, dataset_digest, qc_summary)


def _checked_digest(path: Path, verdict: Verdict, rundir: RunDir) -> str:
    """Return the digest of a file after comparing it with that of the verdict."""
    try:
        expected = verdict.artifacts.get(rundir.relative(path))
        actual = sha256_file(path)
    except (ValueError, OSError) as error:
        raise PreconditionError(
            f"training refused: {path} is not a file of this run directory; run gate scale again"
        ) from error
    if expected != actual:
        subject = f"SHA-256 {expected[:12]}" if expected else "no such file"
        raise PreconditionError(
            f"training refused: {path.name} has SHA-256 {actual[:12]}, but the scale gate judged {subject}; "
            "run gate scale again"
        )
    return actual


def _stage(model: TrainableModel, inputs: _AdmittedInputs, context: StageContext, folder: Path) -> Stage:
    provenance, config = model.provenance, context.config
    parameters = {
        "training": config.training.hyperparameters(),
        "control": config.control,
        "seed": config.seed,
    }
    digests = {
        **provenance.identity(),
        "dataset": inputs.dataset_digest,
    }
    if config.control_data:
        digests["control_data"] = sha256_file(Path(config.control_data))
    return context.stage("training", folder, parameters, digests)


def _data(model: TrainableModel, examples: list[Example], config: RunConfig) -> _Data:
    """Split the dataset, tokenize the training pairs, and check that no token belongs to a chat template."""
    split = split_pairs(_pairs(examples), config.training, config.seed)
    foreign = _pairs(read_jsonl(Path(config.control_data), Example)) if config.control_data else []
    pairs = training_pairs(split.training, config.control, config.seed, foreign)
    encoded, dev = _encode(model, pairs, config), _encode(model, split.dev, config)
    originals = set(split.training)
    return _Data(len(split.training), sum(pair not in originals for pair in pairs), encoded, dev, split.note)


def _encode(model: TrainableModel, pairs: Sequence[Pair], config: RunConfig) -> EncodedPairs:
    tokenizer, provenance = model.tokenizer, model.provenance
    if not pairs:
        return EncodedPairs((), 0)
    encoded = encode_pairs(
        tokenizer,
        pairs,
        end_of_text_id(tokenizer, provenance.control_token_ids),
        min(config.training.max_tokens, model.engine.context_length),
        (tokenizer.bos_token_id,) if provenance.bos_allowed else (),
    )
    guard = InputGuard(dict(zip(provenance.control_token_ids, provenance.control_tokens, strict=True)))
    guard.check([*pair.prompt, *pair.completion] for pair in encoded.pairs)
    return encoded


def _pairs(examples: list[Example]) -> list[Pair]:
    return [Pair(example.instruction, example.response) for example in examples]


def _plan(data: _Data, model: TrainableModel, config: RunConfig) -> TrainingPlan:
    """Return the training plan.

    The number of steps follows from the dataset, also for a control that trains on fewer pairs: with fewer steps, a
    control would not isolate the effect of the data.
    """
    settings, encoded = config.training, data.encoded
    may_stop = may_stop_early(config.control)
    size = data.examples if config.control == "seeds-only" else len(encoded.pairs)
    steps = steps_for(size, settings.epochs, settings.batch_size)
    return TrainingPlan(
        pairs=encoded.pairs,
        order=data_order(len(encoded.pairs), settings.batch_size, steps, config.seed),
        settings=settings,
        learning_rate=UNTRAINED_LEARNING_RATE if config.control == "untrained" else settings.learning_rate,
        checkpoint_every=math.ceil(steps / settings.epochs / settings.checkpoints_per_epoch),
        checkpoint_seconds=config.limits.checkpoint_seconds,
        padding_id=end_of_text_id(model.tokenizer, model.provenance.control_token_ids),
        seed=config.seed,
        dev=DevelopmentPlan(
            pairs=data.dev.pairs,
            interval=evaluation_interval(steps, settings),
            patience=settings.early_stop_patience if may_stop else 0,
            keep_best=may_stop,
        ),
    )


def _write(training: _Training, context: StageContext, attempt: int) -> TrainingManifest:
    """Write the adapter and its records, the success marker last."""
    model, inputs, plan, data, adapter = training
    rundir = context.rundir
    folder = rundir.adapter_dir_of(attempt)
    weights = safetensors.torch.save(adapter.tensors, metadata={"format": "pt"})
    write_bytes(folder / ADAPTER_WEIGHTS, weights)
    write_json(folder / ADAPTER_CONFIG, {**adapter.lora, "base_model_name_or_path": model.provenance.model_id})
    write_jsonl(folder / "loss.jsonl", adapter.steps)
    write_jsonl(folder / "dev_loss.jsonl", adapter.evaluations)
    losses = tuple(step.loss for step in adapter.steps)
    tenth = max(1, len(losses) // 10)
    manifest = TrainingManifest(
        dataset=rundir.relative(inputs.dataset),
        dataset_digest=inputs.dataset_digest,
        qc_summary=rundir.relative(inputs.qc_summary),
        base_weights_digest=model.provenance.weights_digest,
        hyperparameters=_hyperparameters(training, context.config),
        examples=len(data.encoded.pairs),
        supervised_tokens=data.encoded.supervised_tokens,
        planned_steps=len(plan.order),
        steps=len(losses),
        epochs=adapter.steps[-1].epoch,
        loss_first=math.fsum(losses[:tenth]) / tenth,
        loss_last=math.fsum(losses[-tenth:]) / tenth,
        losses=losses,
        dev_examples=len(data.dev.pairs),
        dev_note=data.dev_note,
        dev_losses=tuple(evaluation.loss for evaluation in adapter.evaluations),
        stopped_early=len(losses) < len(plan.order),
        kept_step=adapter.kept_step,
        checkpoints=tuple(rundir.relative(path) for path in adapter.checkpoints),
        adapter=rundir.relative(folder),
        adapter_digest=adapter_digest(folder),
        success_marker=rundir.relative(folder / SUCCESS_MARKER),
        evaluation=rundir.relative(rundir.results_dir_of(attempt) / "evaluation.json"),
        run_id=context.run_id,
        made_by=context.made_by,
    )
    write_json(folder / "training_manifest.json", manifest)
    write_json(folder / SUCCESS_MARKER, success_marker(manifest))
    return manifest


def success_marker(manifest: TrainingManifest) -> TrainingSuccess:
    """Return the success marker of a finished training."""
    commit = manifest.made_by.git_commit if manifest.made_by else UNKNOWN
    return TrainingSuccess(adapter=manifest.adapter, sha256=manifest.adapter_digest, git_commit=commit)


def _hyperparameters(training: _Training, config: RunConfig) -> dict[str, Any]:
    """Return the requested hyperparameters, and the values that they resolved to."""
    model, _inputs, plan, data, adapter = training
    cuda = model.provenance.device.startswith("cuda")
    return {
        **config.training.hyperparameters(),
        "control": config.control,
        "seed": config.seed,
        "resolved_learning_rate": plan.learning_rate,
        "resolved_target_modules": sorted({name.rpartition(".")[2] for name in adapter.lora["target_modules"]}),
        "trained_parameters": adapter.trained_parameters,
        "optimizer": "PagedAdamW8bit" if cuda else "AdamW",
        "precision": "bf16 autocast" if cuda else "float32",
        "quantization": model.provenance.quantization,
        "end_of_text_id": plan.padding_id,
        "left_out_too_long": data.encoded.too_long,
        "dev_left_out_too_long": data.dev.too_long,
        "pairs_changed_by_control": data.changed,
        "checkpoint_every_steps": plan.checkpoint_every,
        "evaluation_every_steps": plan.dev.interval,
    }
