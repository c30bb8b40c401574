"""Gate contamination: every finding of a check fails a metric, and docs/sentinels.md matches the recorded data."""

import json
from typing import Any, get_args

import pytest

from ctai.gates.contamination import contamination_values
from ctai.model.checks import sentinels
from ctai.model.checks.contamination import Check
from ctai.records import ContaminationReport, Metric
from ctai.registry import gate_named
from scripts import calibrate_sentinels as calibration
from tests.contamination.test_sentinels import report
from tests.support import generated
from tests.support.thresholds import metrics_of

pytestmark = pytest.mark.contamination

DATA: dict[str, Any] = json.loads(calibration.DATA.read_text())


def sentinel_metrics(result: ContaminationReport) -> list[Metric]:
    """Return the metrics of the sentinel suite."""
    values = contamination_values(result, "x.json")
    return metrics_of({name: value for name, value in values.items() if name.startswith("sentinel_")})


def failed(**traits: object) -> set[str]:
    """Return the sentinel metrics that a model with these traits fails."""
    provenance = generated.provenance(sentinels=report(**traits))
    metrics = sentinel_metrics(ContaminationReport(findings=(), provenance=provenance))
    return {metric.name for metric in metrics if not metric.passed}


def test_every_check_has_a_metric() -> None:
    metrics = set(gate_named("contamination").metric_names)
    without = {check for check in get_args(Check) if f"{check}_findings" not in metrics}
    assert without == {"language_model"}  # it is `sentinel_completion_rate`, as the next test shows
    assert "sentinel_completion_rate" in metrics


@pytest.mark.parametrize(
    ("traits", "metric"),
    [
        ({}, None),
        ({"knows": False}, "sentinel_completion_rate"),
        ({"mass": 0.1}, "sentinel_control_token_mass"),
        ({"follows": True, "ending": ""}, "sentinel_followed_and_stopped_rate"),
        ({"tuned_in": "instruction_response"}, "sentinel_prompt_format_stopped_rate"),
    ],
)
def test_a_finding_of_the_suite_fails_its_metric_and_no_other(traits: dict[str, object], metric: str | None) -> None:
    findings = {finding.name for finding in sentinels.sentinel_findings(report(**traits))}
    assert failed(**traits) == ({metric} if metric else set())
    assert findings == ({"language_model" if "knows" in traits else "instruct_weights"} if metric else set())


def test_weights_that_were_not_loaded_meet_no_threshold() -> None:
    metrics = sentinel_metrics(ContaminationReport(findings=(), provenance=None))
    assert {metric.name for metric in metrics} == {
        n for n in gate_named("contamination").metric_names if "sentinel" in n
    }
    assert not any(metric.passed for metric in metrics)


def test_the_error_rates_were_measured_with_these_thresholds() -> None:
    assert DATA["thresholds"] == {name: getattr(sentinels, name) for name in calibration.THRESHOLDS}
    assert calibration.page(DATA) == calibration.PAGE.read_text()


def test_the_main_controls_have_many_seeds_and_correct_findings() -> None:
    main = [control for control in calibration.controls(calibration.ROOT, "smollm2") if control.main]
    for control in main:
        runs = DATA["controls"][control.name]["runs"]
        assert {run["seed"] for run in runs} >= set(range(20)), control.name
        assert {bool(run["findings"]) for run in runs} == {control.stops}, control.name
