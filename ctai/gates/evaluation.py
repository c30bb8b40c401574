"""Gate evaluation: training, then comparison of base and SFT on the test set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctai.config import RunConfig, gate_metrics
from ctai.evaluate.arms import (
    ARM_CHECK_PROMPTS,
    BASE,
    SFT,
    arm_check,
    arm_check_inputs,
    evaluate_arm,
    next_token_logprobs,
    sft_arm,
)
from ctai.evaluate.attempts import (
    AttemptPaths,
    alpha_of_comparison,
    attempt_paths,
    comparison_identity,
    control_number,
    record_comparison,
    retry_config,
    with_corrected_alpha,
)
from ctai.evaluate.claims import claim_sentence
from ctai.evaluate.comparison import ArmAnswers, ArmIdentity, summarize_evaluation
from ctai.evaluate.ledger import ComparisonLedger
from ctai.evaluate.metrics import evaluation_values
from ctai.evaluate.text import OUTPUTS, write_evaluation
from ctai.evidence.result import GateResult
from ctai.evidence.review import ReviewContext, failed_answer_samples
from ctai.gates.headroom import base_answers
from ctai.model.devices import compute_stack
from ctai.model.lazy import LazyAdapterModel
from ctai.pipeline.run import Run
from ctai.prompts import CompletionStylePrompts
from ctai.records import ArmCheck, EvaluationItem, EvaluationSummary, HeldoutItem, Record, TrainingManifest
from ctai.rundir import SUCCESS_MARKER, digest_of, read_jsonl, read_record, write_json
from ctai.train.schedule import steps_for
from ctai.train.sft import TrainingInputs, train_adapter

_ADAPTER_FILES = ("training_manifest.json", "adapter_model.safetensors", "adapter_config.json")


def train_and_evaluate(run: Run) -> GateResult:
    """Train and compare; if the comparison fails, retry with other training parameters, `evaluation.retries` times.

    Every adapter is one more comparison on the same test set and base, in whatever run directory. The n-th comparison has
    the n-th share of alpha (`alpha_of_comparison`), and the verdict notes it.
    """
    config, history, files = run.config, list[tuple[Record, ...]](), list[Path]()
    with run.phase("evaluation", control=config.control) as phase:
        counter = _ComparisonCounter(run)
        for attempt in range(config.evaluation.retries + 1):
            paths = attempt_paths(run.rundir, attempt)
            training = _train(run, config, attempt)
            number = counter.count(paths, attempt)
            corrected = with_corrected_alpha(config, number)
            summary, outputs, reused = _evaluate(run, corrected, paths, training)
            history.append((config.training, summary))
            files += [*outputs, *(paths.adapter / name for name in _ADAPTER_FILES)]
            if summary.go or attempt == config.evaluation.retries:
                break
            config = retry_config(config)
        phase.parameters["learning_rate"] = config.training.learning_rate
        phase.parameters["attempts"] = attempt + 1
        files += counter.files
        sources = (run.rundir.relative(outputs[2]), run.rundir.relative(paths.adapter / "training_manifest.json"))
        values = evaluation_values(summary, training, *sources)
        metrics = gate_metrics("evaluation", corrected, values)
        result = run.bind_result("evaluation", metrics, files, (counter.note(number),))
        result = result._replace(claim=claim_sentence(summary))
        samples = failed_answer_samples(read_jsonl(outputs[1], EvaluationItem))
        run.review_contexts["evaluation"] = ReviewContext(tuple(history), samples)
        return run.finish_gate(result, reused=reused, phase=phase)


class _ComparisonCounter:
    """Numbers of the comparisons of this session; those of a control are not charged.

    Args:
        run: the run. Its ledger is read at once, so that no training is paid for whose comparison cannot be counted.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ledger = ComparisonLedger.locate() if run.config.control == "none" else None
        if self._ledger is not None:
            self._ledger.check()
            run.session.note(f"ledger of test set comparisons: {self._ledger.path} ({self._ledger.origin})")

    def count(self, paths: AttemptPaths, attempt: int) -> int:
        """Record the comparison of an attempt and return its number; a control counts its own attempts only."""
        if self._ledger is None:
            return control_number(attempt)
        heldout = read_jsonl(self._run.rundir.heldout, HeldoutItem)
        weights = self._run.base.provenance.weights_digest
        identity = comparison_identity(self._run.rundir, paths.adapter, heldout, weights)
        return record_comparison(self._run.rundir, identity, self._ledger)

    @property
    def files(self) -> tuple[Path, ...]:
        """File of the recorded numbers."""
        return (self._run.rundir.comparisons,) if self._ledger is not None else ()

    def note(self, number: int) -> str:
        """Return the note of the verdict on a number."""
        alpha = f"alpha_n = {alpha_of_comparison(self._run.config.evaluation.alpha, number):.3g}"
        if self._ledger is None:
            return f"control: attempt {number}, {alpha}; not counted among the comparisons on this test set"
        return f"comparison {number} on this test set and base, {alpha}; ledger: {self._ledger.origin}"


def _train(run: Run, config: RunConfig, attempt: int) -> TrainingManifest:
    run.progress.limit("training", config.limits.training)
    if not (run.rundir.adapter_dir_of(attempt) / SUCCESS_MARKER).exists():
        examples = sum(1 for _ in run.rundir.dataset.open("rb"))
        steps = steps_for(examples, config.training.epochs, config.training.batch_size)
        run.announce("training", steps, "lower training.epochs")
    try:
        inputs = TrainingInputs(run.rundir.dataset, run.rundir.dataset_qc, run.require_passed("scale"))
        return train_adapter(run.base, run.with_config(config), inputs, attempt)
    finally:
        run.progress.limit("evaluation", config.limits.evaluation)


def _evaluate(
    run: Run, config: RunConfig, paths: AttemptPaths, training: TrainingManifest
) -> tuple[EvaluationSummary, tuple[Path, ...], bool]:
    """Generate the answers of the adapter and compare them with those of the base, or reuse a complete comparison.

    Returns:
        The summary, the files, and whether they were reused.
    """
    outputs = tuple(paths.results / name for name in OUTPUTS)
    answers = {name: arm.items for name, arm in base_answers(run).items()}
    parameters = {
        "evaluation": config.evaluation,
        "intraclass_correlation": config.heldout.intraclass_correlation,
        "control": config.control,
        "seed": config.seed,
    }
    inputs = {"adapter": training.adapter_digest, "base_answers": digest_of(answers)}
    stage = run.stage(paths.evidence.name, paths.evidence, parameters, inputs)
    if stage.complete() is not None:
        return read_record(outputs[2], EvaluationSummary), outputs, True
    stage.begin()
    heldout = read_jsonl(run.rundir.heldout, HeldoutItem)
    run.announce("evaluation", len(heldout), "lower heldout.count")
    with LazyAdapterModel(run.base, paths.adapter) as sft:
        difference = _logit_difference(run, sft, heldout, run.rundir.arm_check(paths.results))
        sft_items = evaluate_arm(sft, sft_arm(config), heldout, run, paths.results / "arms" / SFT).items
        digests = _arm_digests(run, sft)
    summary = summarize_evaluation(
        ArmAnswers.of(answers, sft_items),
        ArmIdentity(digests, difference),
        config,
        run.run_id,
        {
            "control": config.control,
            "training_manifest": run.rundir.relative(paths.adapter / "training_manifest.json"),
        },
    )
    summary = summary.model_copy(update={"made_by": run.made_by})
    write_evaluation(answers[BASE], sft_items, summary, paths.results)
    stage.finish(outputs, run.run_id)
    return summary, outputs, False


def _logit_difference(run: Run, sft: LazyAdapterModel, heldout: Sequence[HeldoutItem], path: Path) -> float:
    """Return the largest difference of a log-probability between the arms, or reuse it: no threshold changes it."""
    prompts = [CompletionStylePrompts.zero_shot(item.instruction) for item in heldout[:ARM_CHECK_PROMPTS]]
    parameters = {"stack": dict(compute_stack(run.base.provenance.device))}
    stage = run.stage(path.parent.name, path.parent, parameters, arm_check_inputs(sft.provenance, prompts))
    if stage.complete() is None:
        stage.begin()
        vocabulary = len(run.base.tokenizer)
        base_logprobs = next_token_logprobs(run.base, prompts, vocabulary)  # before the adapter is attached
        difference = arm_check(base_logprobs, next_token_logprobs(sft, prompts, vocabulary))
        write_json(path, ArmCheck(logit_difference=difference))
        stage.finish([path], run.run_id)
    return read_record(path, ArmCheck).logit_difference


def _arm_digests(run: Run, sft: LazyAdapterModel) -> Mapping[str, str]:
    """Return a digest of the model of each arm: of the weights for the base, of weights and adapter for SFT."""
    weights = run.base.provenance.weights_digest
    return {BASE: weights, SFT: digest_of([weights, sft.provenance.adapter_digest])}
