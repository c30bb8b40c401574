"""Gate 4: what the base can do already, then training, then base against SFT on the same items."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctai.config import EvaluationSettings, RunConfig
from ctai.evaluate import (
    BASE,
    BASE_FEW_SHOT,
    BASE_REPARTITIONED,
    SFT,
    Answers,
    Arm,
    ArmModel,
    arm_check,
    base_arms,
    evaluate_arm,
    next_token_logprobs,
    sft_arm,
)
from ctai.evaluate_summary import (
    GUARDED_TYPES,
    noise_floor,
    regression_metric,
    summarize_evaluation,
    write_evaluation,
)
from ctai.gates.base import AdaptedModel
from ctai.gates.evidence import Measured
from ctai.gates.looks import LOOKS, Look, charged, look_at, note_look, tuned
from ctai.gates.review import Background, failed_answers
from ctai.gates.run import Run
from ctai.prompts import CompletionStylePrompts
from ctai.records import EvaluationItem, EvaluationSummary, HeldoutItem, Metric, Rate, Record, TrainingManifest
from ctai.rundir import digest_of, read_jsonl, read_record
from ctai.statistics import rate
from ctai.train import SUCCESS_MARKER, train_adapter
from ctai.train_data import steps_for

_ARM_CHECK_PROMPTS = 8
_ADAPTER_FILES = ("training_manifest.json", "adapter_model.safetensors", "adapter_config.json")


# ---------------------------------------------------------------------------------------------------- 4a: headroom


def measure_headroom(run: Run) -> Measured:
    """The base zero-shot, with few-shot examples, and once more in other batches: what training has to beat."""
    with run.phase("headroom", items=run.config.heldout.count) as phase:
        answers = _base_answers(run)
        base, few_shot = (_content(answers[name].items) for name in (BASE, BASE_FEW_SHOT))
        noise = noise_floor(answers[BASE].items, answers[BASE_REPARTITIONED].items)
        paths = [_base_folder(run, name) / "items.jsonl" for name in answers]
        metric = Metric(
            name="base_zero_shot_content",
            value=base.value,
            comparison="<=",
            threshold=run.config.evaluation.headroom_max_base,
            interval=base.interval,
            n=base.n,
            artifact=run.rundir.relative(paths[0]),
            note=f"few-shot {few_shot.value:.3f}; base against base in other batches differs on {noise.value:.3f}",
        )
        measured = run.judged("headroom", (metric,), paths)
        return run.finish_gate(measured, reused=all(found.reused for found in answers.values()), phase=phase)


def _content(items: Sequence[EvaluationItem]) -> Rate:
    return rate(sum(item.content for item in items), len(items))


def _base_answers(run: Run) -> dict[str, Answers]:
    """The answers of the base, by arm."""
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    arms = base_arms(run.config)
    return {arm.name: _answers(run, run.base, arm, heldout, _base_folder(run, arm.name)) for arm in arms}


def _answers(run: Run, model: ArmModel, arm: Arm, heldout: Sequence[HeldoutItem], folder: Path) -> Answers:
    return evaluate_arm(model, arm, heldout, run.config, run.rundir, folder, run.run_id, run.progress)


def _base_folder(run: Run, arm: str) -> Path:
    return run.rundir.path("results", "headroom", arm)


# -------------------------------------------------------------------------------------------------- 4b: evaluation


def train_and_evaluate(run: Run) -> Measured:
    """Train and compare; when the comparison fails, once more with tuned training parameters, then stop.

    Every adapter that is compared is one look more at the same test set, also in a later session with other settings: the
    n-th has to reach the n-th part of the p-value, and the verdict says so.
    """
    config, history, files = run.config, list[Record](), list[Path]()
    with run.phase("evaluation", control=config.control) as phase:
        for attempt in range(config.evaluation.retries + 1):
            look = look_at(run.rundir, attempt)
            training = _train(run, config, look.adapter)
            number = note_look(run.rundir, training.adapter_digest)
            judged = charged(config, number)
            summary, paths, reused = _evaluate(run, judged, look, training)
            history += [config.training, summary]
            files += [*paths, *(look.adapter / name for name in _ADAPTER_FILES)]
            if summary.go or attempt == config.evaluation.retries:
                break
            config = tuned(config)
        phase.parameters["learning_rate"] = config.training.learning_rate
        phase.parameters["attempts"] = attempt + 1
        files.append(run.rundir.path(*LOOKS))
        notes = (f"look {number} at the test set, with alpha divided by {number}",) if number > 1 else ()
        sources = (run.rundir.relative(paths[2]), run.rundir.relative(look.adapter / "training_manifest.json"))
        metrics = _metrics(judged.evaluation, summary, training, *sources)
        measured = run.judged("evaluation", metrics, files, notes)
        wrong = failed_answers(read_jsonl(paths[1], EvaluationItem))
        run.background["evaluation"] = Background(tuple(history), wrong)
        return run.finish_gate(measured, reused=reused, phase=phase)


def _train(run: Run, config: RunConfig, folder: Path) -> TrainingManifest:
    run.progress.limit("training", config.limits.training)
    if not (folder / SUCCESS_MARKER).exists():
        examples = sum(1 for _ in run.rundir.dataset.open("rb"))
        steps = steps_for(examples, config.training.epochs, config.training.batch_size)
        run.announce("training", steps, "lower training.epochs")
    try:
        return train_adapter(
            run.base,
            run.rundir.dataset,
            run.rundir.path("data", "qc_summary.json"),
            run.require_passed("scale"),
            config,
            run.rundir,
            run.run_id,
            run.progress,
            folder,
        )
    finally:
        run.progress.limit("evaluation", config.limits.evaluation)


def _evaluate(
    run: Run, config: RunConfig, look: Look, training: TrainingManifest
) -> tuple[EvaluationSummary, tuple[Path, ...], bool]:
    """Answer with the adapter and compare with the base's answers; reused when nothing has changed."""
    names = ("base_items.jsonl", "sft_items.jsonl", "evaluation.json", "summary.txt")
    paths = tuple(look.results / name for name in names)
    answers = {name: found.items for name, found in _base_answers(run).items()}
    parameters = {"evaluation": config.evaluation, "control": config.control, "seed": config.seed}
    inputs = {"adapter": training.adapter_digest, "base_answers": digest_of(answers[BASE])}
    stage = run.stage(look.evidence.name, look.evidence, parameters, inputs)
    if stage.complete() is not None:
        return read_record(paths[2], EvaluationSummary), paths, True
    stage.begin()
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    run.announce("evaluation", len(heldout), "lower heldout.count")
    prompts = [CompletionStylePrompts.zero_shot(item.instruction) for item in heldout[:_ARM_CHECK_PROMPTS]]
    vocabulary = len(run.base.tokenizer)
    base_logprobs = next_token_logprobs(run.base, prompts, vocabulary)
    with AdaptedModel(run.base, look.adapter) as sft:
        difference = arm_check(base_logprobs, next_token_logprobs(sft, prompts, vocabulary))
        sft_items = _answers(run, sft, sft_arm(config), heldout, look.results / "arms" / SFT).items
        arms = _arm_digests(run, sft)
    summary = summarize_evaluation(
        answers[BASE],
        sft_items,
        {BASE_FEW_SHOT: answers[BASE_FEW_SHOT]},
        answers[BASE_REPARTITIONED],
        config,
        arms=arms,
        logit_difference=difference,
        run_id=run.run_id,
        metadata={
            "control": config.control,
            "training_manifest": run.rundir.relative(look.adapter / "training_manifest.json"),
        },
    )
    write_evaluation(answers[BASE], sft_items, summary, look.results)
    stage.finish(paths, run.run_id)
    return summary, paths, False


def _arm_digests(run: Run, sft: AdaptedModel) -> Mapping[str, str]:
    """The arms by what they ran on: the base by its weights, SFT by the weights and the adapter on them."""
    weights = run.base.provenance.weights_digest
    return {BASE: weights, SFT: digest_of([weights, sft.provenance.adapter_digest])}


def _metrics(
    settings: EvaluationSettings, summary: EvaluationSummary, training: TrainingManifest, artifact: str, manifest: str
) -> tuple[Metric, ...]:
    overall = summary.overall
    interval = overall.lift_interval
    table = overall.mcnemar
    return (
        Metric(name="supervised_tokens", value=training.supervised_tokens, comparison=">", threshold=0, artifact=manifest),
        Metric(
            name="arm_difference", value=summary.logit_difference, comparison=">", threshold=0, artifact=artifact,
            note="largest difference of a log-probability between the arms",
        ),
        Metric(
            name="content_lift", value=overall.lift, comparison=">", threshold=0, interval=interval, n=overall.n,
            artifact=artifact, note=f"base {overall.base.value:.3f}, SFT {overall.sft.value:.3f}",
        ),
        Metric(
            name="content_p_value", value=table.p_gain, comparison="<", threshold=settings.alpha, n=overall.n,
            artifact=artifact, note=f"McNemar: only base {table.only_base}, only SFT {table.only_sft}",
        ),
        Metric(
            name="lift_interval_width", value=interval.high - interval.low, comparison="<=",
            threshold=settings.max_interval_width, n=overall.n, artifact=artifact,
        ),
        *(regression_metric(kind, summary, artifact) for kind in GUARDED_TYPES),
    )  # fmt: skip
