"""Settings and thresholds of a run: the schema, the sources of each value, and the TOML form.

Owns the defaults and bounds. It reads no environment variable and touches no model.
"""

from ctai.config.feasibility import impossible_settings
from ctai.config.limits import Limits
from ctai.config.metric_values import MetricValue, gate_metrics, setting_value, threshold_of, to_metric
from ctai.config.schema import (
    Control,
    CriticSettings,
    EvaluationSettings,
    GenerationSettings,
    HeadroomSettings,
    HeldoutSettings,
    InstrumentSettings,
    ModelSettings,
    PilotSettings,
    QcThresholds,
    ResolvedConfig,
    RunConfig,
    ScaleSettings,
    TrainingSettings,
    resolve,
)
from ctai.config.sources import BUILT_IN_PROFILES, profile_text

__all__ = [
    "BUILT_IN_PROFILES",
    "Control",
    "CriticSettings",
    "EvaluationSettings",
    "GenerationSettings",
    "HeadroomSettings",
    "HeldoutSettings",
    "InstrumentSettings",
    "Limits",
    "MetricValue",
    "ModelSettings",
    "PilotSettings",
    "QcThresholds",
    "ResolvedConfig",
    "RunConfig",
    "ScaleSettings",
    "TrainingSettings",
    "gate_metrics",
    "impossible_settings",
    "profile_text",
    "resolve",
    "setting_value",
    "threshold_of",
    "to_metric",
]
