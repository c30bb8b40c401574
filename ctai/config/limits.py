"""Base class of the sections of the configuration, and the limits of a session in time, money and disk space."""

from pydantic import ConfigDict, Field

from ctai.records import Record


class Settings(Record):
    """Base class of the sections of the configuration.

    Numbers are finite, because a threshold of infinity could not fail.
    """

    model_config = ConfigDict(allow_inf_nan=False)


class Limits(Settings):
    """Time limits per session (seconds), checkpoint interval, budget and disk space; without effect on results."""

    contamination: float = Field(1800, description="gate contamination")
    instruments: float = Field(3600, description="gate instruments")
    pilot: float = Field(7200, description="gate pilot")
    scale: float = Field(86400, description="gate scale")
    headroom: float = Field(7200, description="gate headroom")
    training: float = Field(43200, description="training, within gate evaluation")
    evaluation: float = Field(14400, description="gate evaluation")
    review: float = Field(600, description="the program named by CTAI_REVIEW_COMMAND")
    checkpoint_seconds: float = Field(60.0, ge=0, description="maximum seconds between training checkpoints")
    cost_per_hour_usd: float = Field(
        0.0, ge=0, description="price of the machine in USD per hour; 0 disables the budget"
    )
    budget_usd: float = Field(
        300.0, ge=0, description="budget in USD; a stage that would exceed it is not started, or is stopped"
    )
    minimum_free_gb: float = Field(
        2.0, ge=0, description="required free disk space in GiB, less the weights already on disk"
    )
