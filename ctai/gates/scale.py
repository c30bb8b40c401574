"""Gate scale: the shards with the settings of the passed pilot, merged into the training dataset."""

import math
from collections.abc import Sequence

from ctai.config import GenerationSettings, MetricValue, RunConfig, to_metric
from ctai.errors import IncompleteError
from ctai.evidence.result import GateResult
from ctai.generate.merge import merge_shards
from ctai.generate.shard import shard_files
from ctai.pipeline.executor.scheduler import ScaleSpec, make_scale_shard, make_shards, missing_shards
from ctai.pipeline.run import Run
from ctai.provenance import OpenPhase
from ctai.records import HeldoutItem, Metric, PilotHistory
from ctai.registry import metric_spec
from ctai.rundir import read_jsonl, read_record


def make_scale_dataset(run: Run) -> GateResult:
    """Generate all shards with the settings of the passed pilot, and merge them.

    Raises:
        IncompleteError: shards are missing that `--only-shards` leaves to other sessions.
    """
    config, heldout = _config_of_passed_pilot(run), read_jsonl(run.rundir.heldout, HeldoutItem)
    target = math.ceil(config.scale.count * config.scale.oversample / config.scale.shards)
    spec = ScaleSpec(config, heldout, target)
    with run.phase("scale", shards=config.scale.shards, count=config.scale.count, **run.execution.record()) as phase:
        missing = missing_shards(run, spec)
        selected = [number for number in missing if not run.execution.only or number in run.execution.only]
        make_shards(run, spec, selected, run.execution.executor)
        remaining = [str(number) for number in missing if number not in selected]
        if not remaining:
            return _merge(run, spec, phase, reused=not missing)
        phase.outcome = "incomplete"
        phase.reasons.append(f"shard(s) {', '.join(remaining)} are missing")
    raise IncompleteError(
        f"shard(s) {', '.join(remaining)} are missing: make them without --only-shards, or copy them into "
        f"{run.rundir.shard_dir(0).parent}, and run the gates again"
    )


def _merge(run: Run, spec: ScaleSpec, phase: OpenPhase, *, reused: bool) -> GateResult:
    """Merge the complete shards, and compute the metrics of the merged dataset."""
    numbers = range(spec.config.scale.shards)
    summaries = [make_scale_shard(run, spec, number).summary for number in numbers]
    folders = [run.rundir.shard_dir(number) for number in numbers]
    merged = merge_shards(run.with_config(spec.config), folders, spec.heldout)
    failed = [folder.name for folder, summary in zip(folders, summaries, strict=True) if not summary.thresholds_passed]
    phase.parameters["failed_shards"] = failed
    shards = failed_shards_metric(failed, len(summaries), run.rundir.relative(merged.qc_path))
    files = [run.rundir.dataset, merged.qc_path, *(file for folder in folders for file in shard_files(folder))]
    result = run.bind_result("scale", (*merged.summary.thresholds, shards), files)
    return run.finish_gate(result, reused=reused and merged.reused, phase=phase)


def failed_shards_metric(failed: Sequence[str], shards: int, artifact: str) -> Metric:
    """Return the number of shards that miss a threshold of quality control, as a metric."""
    spec = metric_spec("failed_shards")
    value = MetricValue(len(failed), n=shards, artifact=artifact, note=", ".join(failed))
    return to_metric(spec, value, spec.threshold)


def _config_of_passed_pilot(run: Run) -> RunConfig:
    """Return the configuration with the generation settings of the last pilot attempt, which has passed."""
    history = read_record(run.rundir.pilot_history, PilotHistory)
    generation = GenerationSettings.model_validate(history.attempts[-1].generation)
    return run.config.model_copy(update={"generation": generation})
