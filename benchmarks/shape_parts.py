"""Measurements on a model of a published shape: critic, generation, training, and resumed training.

Each runs on the engine and trainer of ctai with random tokens: texts have fixed lengths and no end. `benchmarks.shape`
selects the parts and handles their failures.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.roofline import counted, share, weights_of
from benchmarks.shapes import Shaped
from ctai.config import TrainingSettings
from ctai.progress import SilentProgress
from ctai.records import Sampling
from ctai.train.data import TokenizedPair
from ctai.train.loop import TrainedAdapter, TrainingPlan, fit


class Sizes(NamedTuple):
    """Sizes of the workload, in tokens unless the name says otherwise."""

    rows: tuple[int, ...] = (16, 64, 128, 256)
    shared: int = 120
    own: int = 80
    written: int = 128
    sampled_rows: int = 64
    rubric: int = 300
    item: int = 150
    items: int = 128
    pair: int = 300
    steps: int = 6
    device_batches: tuple[int, ...] = (4, 16)


class Measured(NamedTuple):
    """Rate with a note; the rate is None where the part measures none."""

    rate: float | None
    note: str


def critic(model: Shaped, sizes: Sizes) -> Measured:
    """Measure judgements per second: items after one rubric, by the log-probabilities of two labels."""
    engine = model.engine(sizes.sampled_rows, 32_768)
    texts = model.prompts(sizes.items, sizes.rubric, sizes.item)
    engine.token_logprobs(texts[:2], [0, 1])
    with counted(model.module) as calls:
        start = time.perf_counter()
        engine.token_logprobs(texts, [0, 1])
        seconds = time.perf_counter() - start
    workload = f"{sizes.items} items of about {sizes.item} tokens after {sizes.rubric}"
    return Measured(
        sizes.items / seconds, f"{workload}; {share(weights_of(model.module), calls, model.limits, seconds)}"
    )


def generation(model: Shaped, sizes: Sizes, rows: int, sampling: Sampling) -> Measured:
    """Measure response tokens per second of one batch, prefill included."""
    engine = model.engine(rows, rows * (sizes.shared + 2 * sizes.own + sizes.written))
    texts = model.prompts(rows, sizes.shared, sizes.own)
    engine.generate(texts[:2], sampling.model_copy(update={"max_new_tokens": 4}))
    with counted(model.module) as calls:
        start = time.perf_counter()
        written = sum(len(completion.token_ids) for completion in engine.generate(texts, sampling))
        seconds = time.perf_counter() - start
    note = f"prompts of about {sizes.shared + sizes.own} tokens, {sizes.shared} shared, {sizes.written} written; "
    note += share(weights_of(model.module), calls, model.limits, seconds)
    if engine.batch_splits:
        note += f"; {engine.batch_splits} times the batch was halved because memory ran out"
    return Measured(written / seconds, note)


class _Clock(SilentProgress):
    """Recorder of the time of each training step, and of whether it recomputed activations."""

    def __init__(self, model: Shaped) -> None:
        self._model = model
        self.times: list[float] = []
        self.recomputed = False

    def advance(self, n: int = 1, note: str = "") -> None:
        """Record the end of a step."""
        self._model.finish()
        self.times.append(time.perf_counter())
        self.recomputed = self._model.module.model.layers[0].gradient_checkpointing

    def step_seconds(self, plan: TrainingPlan) -> float:
        """Return the median seconds of the steps without a checkpoint, except the first."""
        return statistics.median(
            self._seconds(step) for step in range(2, len(self.times)) if step not in plan.retained_steps
        )

    def checkpoint_seconds(self, plan: TrainingPlan) -> float:
        """Return the additional seconds of the first step with a checkpoint."""
        return self._seconds(plan.retained_steps[0]) - self.step_seconds(plan)

    def _seconds(self, step: int) -> float:
        return self.times[step] - self.times[step - 1]  # times[0] is the start


def _plan(model: Shaped, sizes: Sizes, device_batch: int) -> TrainingPlan:
    """Return a training plan with the settings of ctai, on pairs of random tokens, half of them completion."""
    settings = TrainingSettings(device_batch_size=device_batch)
    count, half = sizes.steps * settings.batch_size, sizes.pair // 2
    return TrainingPlan(
        pairs=tuple(TokenizedPair(tuple(model.ids(half)), tuple(model.ids(half))) for _ in range(count)),
        order=[range(at, at + settings.batch_size) for at in range(0, count, settings.batch_size)],
        settings=settings,
        learning_rate=settings.learning_rate,
        checkpoint_every=sizes.steps // 2,
        checkpoint_seconds=3600,
        padding_id=0,
        seed=0,
    )


def training(model: Shaped, sizes: Sizes, device_batch: int) -> Measured:
    """Measure training tokens per second, by the median time of steps without a checkpoint, except the first."""
    plan, clock = _plan(model, sizes, device_batch), _Clock(model)
    with counted(model.module) as calls, tempfile.TemporaryDirectory() as folder:
        fitted = fit(model.module, plan, Path(folder), clock)
    of_steps = calls[-sizes.steps * plan.settings.batch_size // device_batch :]  # before them the trainer tries to pack
    tokens, step = sum(map(len, plan.pairs)) / sizes.steps, clock.step_seconds(plan)
    passes = 3 if clock.recomputed else 2  # forwards, perhaps again, and backwards, where only inputs have gradients
    near = share(weights_of(model.module), of_steps, model.limits, step * sizes.steps, passes)
    packed = sum(of_steps) == sum(map(len, plan.pairs))
    note = f"{tokens:.0f} tokens a step, {'packed' if packed else 'padded'}, rank {plan.settings.rank}, "
    note += f"{fitted.trained_parameters:,} parameters trained, "
    note += f"activations {'computed again' if clock.recomputed else 'kept'}; {near}"
    return Measured(tokens / step, note)


def resumed(model: Shaped, sizes: Sizes) -> Measured:
    """Compare training resumed from a checkpoint with uninterrupted training, by losses and adapters."""
    plan, clock = _plan(model, sizes, sizes.device_batches[0]), _Clock(model)
    with tempfile.TemporaryDirectory() as folder:
        whole = fit(model.module, plan, Path(folder), clock)
        first, *later = whole.checkpoints
        size = first.stat().st_size
        for path in later:
            path.unlink()
        second = fit(model.module, plan, Path(folder), SilentProgress())
    done, losses = plan.checkpoint_every, zip(whole.steps, second.steps, strict=True)
    differences = ", ".join(f"{abs(a.loss - b.loss):.1e}" for a, b in list(losses)[done:])
    note = f"after step {done} of {sizes.steps} the losses differ from uninterrupted ones by {differences}, the adapters by at "
    note += f"most {_largest_difference(whole, second):.1e}; "
    note += f"a checkpoint has {size / 1e6:,.1f} MB and costs {clock.checkpoint_seconds(plan):.1f} s"
    return Measured(None, note)


def _largest_difference(first: TrainedAdapter, second: TrainedAdapter) -> float:
    return max(float((first.tensors[name] - second.tensors[name]).abs().max()) for name in first.tensors)
