"""Benchmark of training against the SFTTrainer of TRL: same pairs, order and settings."""

import copy
import logging
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Arm, Output, Row, Subject, compare
from benchmarks.hardware import share_of_limit
from benchmarks.workload import pairs
from ctai.config import TrainingSettings
from ctai.progress import SilentProgress
from ctai.prompts import CompletionStylePrompts
from ctai.train.data import encode_pairs
from ctai.train.loop import TrainingPlan, fit

_BATCH, _DEVICE_BATCH = 16, 8
_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def run(subject: Subject, steps: int, turns: int, **_sizes: object) -> list[Row]:
    """Return one row per arm, in response tokens per second; without shuffling and dropout losses are comparable."""
    chosen = pairs(steps * _BATCH)
    tokenizer = subject.model.tokenizer
    # The end token may belong to a chat template: training refuses it, a benchmark of speed may use it.
    encoded = encode_pairs(tokenizer, chosen, tokenizer.eos_token_id, 512)
    settings = TrainingSettings(
        dropout=0, warmup=0, weight_decay=0, batch_size=_BATCH, device_batch_size=_DEVICE_BATCH, target_modules=_TARGETS
    )
    order = [range(step * _BATCH, (step + 1) * _BATCH) for step in range(steps)]

    def ours() -> Output:
        plan = TrainingPlan(
            pairs=encoded.pairs,
            order=order,
            settings=settings,
            learning_rate=settings.learning_rate,
            checkpoint_every=steps,
            checkpoint_seconds=3600,
            padding_id=tokenizer.eos_token_id,
            seed=0,
        )
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit(subject.model.module, plan, Path(folder), SilentProgress())
        return Output(encoded.supervised_tokens, [step.loss for step in fitted.steps])

    def theirs(**options: Any) -> Output:
        losses = _train_with_trl(subject, chosen, settings, steps, options)
        return Output(encoded.supervised_tokens, losses)

    arms = [
        Arm("TRL SFTTrainer, its defaults", theirs, _agreement, _prepare),
        Arm("TRL SFTTrainer, no checkpointing", lambda: theirs(gradient_checkpointing=False), _agreement),
    ]
    rows = compare("training", subject, "response tokens/s", ours, arms, turns)
    tokens = sum(map(len, encoded.pairs))
    if rows[0].rate:
        # The backward pass costs as much as the forward pass: only the gradients of inputs are computed.
        share = share_of_limit(subject, 2 * tokens, encoded.supervised_tokens / rows[0].rate)
        rows[0].note = f"{steps} steps of {_BATCH} pairs, {tokens} tokens; {share}"
    return rows


def _prepare() -> None:
    import datasets
    import trl  # noqa: F401

    datasets.disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)


def _train_with_trl(
    subject: Subject, chosen: Any, settings: TrainingSettings, steps: int, options: dict[str, Any]
) -> list[float]:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "prompt": CompletionStylePrompts.zero_shot(pair.instruction),
            "completion": CompletionStylePrompts.completion(pair.response),
        }
        for pair in chosen
    ]
    module = _not_from_gguf(subject.model.module)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=_DEVICE_BATCH,
            gradient_accumulation_steps=_BATCH // _DEVICE_BATCH,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            train_sampling_strategy="sequential",
            bf16=module.device.type == "cuda",  # on the processor it is several times slower
            use_cpu=module.device.type == "cpu",
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            **options,
        )
        lora = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=0.0,
            target_modules=list(_TARGETS),
            task_type="CAUSAL_LM",
        )
        trainer = SFTTrainer(
            model=module,
            args=config,
            train_dataset=Dataset.from_list(rows),
            peft_config=lora,
            processing_class=subject.model.tokenizer,
        )
        trainer.train()
    return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


def _not_from_gguf(module: Any) -> Any:
    """Return a copy of the model, which a trainer may change, without its GGUF setting, with which TRL does not train.

    Loading has converted the weights to float32.
    """
    module = copy.deepcopy(module)
    config = module.config
    if getattr(config, "quantization_config", None) and config.quantization_config.quant_method == "gguf":
        weights = module.state_dict()
        del config.quantization_config
        module = type(module)(config)
        module.load_state_dict(weights)
    return module


def _agreement(ours: Any, theirs: Any) -> str:
    return f"loss {ours[0]:.2f} to {ours[-1]:.2f}, theirs {theirs[0]:.2f} to {theirs[-1]:.2f}" + (
        f"; largest difference of a step {max(abs(a - b) for a, b in zip(ours, theirs, strict=True)):.3f}"
    )
