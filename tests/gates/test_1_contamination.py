"""Gate 1: the weights are a clean base model in completion mode. Each test asserts one threshold."""

import pytest

from ctai.evidence.result import GateResult

from .conftest import Judge

pytestmark = [pytest.mark.gates, pytest.mark.gate("contamination"), pytest.mark.order(1)]


def test_template_disabled(base_model: GateResult, judge: Judge) -> None:
    """No chat template is left on the tokenizer, and applying one raises."""
    metric = judge(base_model, "template_disabled")
    assert metric.passed, metric.sentence()


def test_special_tokens_findings(base_model: GateResult, judge: Judge) -> None:
    """Tokenizing adds no special token, or only a BOS that the configuration allows by name."""
    metric = judge(base_model, "special_tokens_findings")
    assert metric.passed, metric.sentence()


def test_names_findings(base_model: GateResult, judge: Judge) -> None:
    """Neither the name nor a file of the model says that it was tuned on instructions."""
    metric = judge(base_model, "names_findings")
    assert metric.passed, metric.sentence()


def test_adapter_files_findings(base_model: GateResult, judge: Judge) -> None:
    """No adapter lies beside the weights."""
    metric = judge(base_model, "adapter_files_findings")
    assert metric.passed, metric.sentence()


def test_attached_adapter_findings(base_model: GateResult, judge: Judge) -> None:
    """No adapter hangs on the loaded model."""
    metric = judge(base_model, "attached_adapter_findings")
    assert metric.passed, metric.sentence()


def test_weight_files_findings(base_model: GateResult, judge: Judge) -> None:
    """The weights are safetensors or GGUF, never pickle."""
    metric = judge(base_model, "weight_files_findings")
    assert metric.passed, metric.sentence()


def test_instruct_weights_findings(base_model: GateResult, judge: Judge) -> None:
    """The sentinel suite as a whole does not find instruct or contaminated weights."""
    metric = judge(base_model, "instruct_weights_findings")
    assert metric.passed, metric.sentence()


def test_sentinel_completion_rate(base_model: GateResult, judge: Judge) -> None:
    """It completes plain facts: it is a working language model."""
    metric = judge(base_model, "sentinel_completion_rate")
    assert metric.passed, metric.sentence()


def test_sentinel_control_token_mass(base_model: GateResult, judge: Judge) -> None:
    """It does not expect chat-control tokens where a chat model would."""
    metric = judge(base_model, "sentinel_control_token_mass")
    assert metric.passed, metric.sentence()


def test_sentinel_followed_and_stopped_rate(base_model: GateResult, judge: Judge) -> None:
    """It does not answer bare instructions and stop, as instruct weights do."""
    metric = judge(base_model, "sentinel_followed_and_stopped_rate")
    assert metric.passed, metric.sentence()


def test_sentinel_worksheet_stopped_rate(base_model: GateResult, judge: Judge) -> None:
    """It does not end its answers in a form of worksheet, as weights tuned in one do: no adapter is merged in."""
    metric = judge(base_model, "sentinel_worksheet_stopped_rate")
    assert metric.passed, metric.sentence()
