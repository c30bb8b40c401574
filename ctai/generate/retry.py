"""Generation settings of a pilot retry, derived from the reasons that the previous attempt failed.

Owns the rules. They change generation settings only, never a threshold.
"""

from collections.abc import Sequence

from ctai.config import GenerationSettings, RunConfig
from ctai.records import Sampling

_MAX_EXAMPLES = 12
_LOWER, _HIGHER = 0.8, 1.15
_LONGER = 1.5
_MAX_TEMPERATURE = 1.3

_LIMIT = {"token_limit_rate"}
_FORM = {"runaway_rate", "delimiter_rate", "truncated_rate", "median_tokens", "kept_faults", "pair_acceptance"}
_INSTRUCTIONS = {"instruction_acceptance"}
_VARIETY = {"kept_examples", "unique_examples", "duplicate_rate", "heldout_overlap"}


def retry_generation(config: RunConfig, failed_reasons: Sequence[str], retry: int = 1) -> RunConfig:
    """Return the configuration of the next attempt.

    - Token limit reached: a token budget 1.5 times as long.
    - Responses malformed or not accepted: one more few-shot example; from the second retry on a lower temperature.
    - Instructions not accepted: longer example lists; from the second retry on a lower temperature.
    - Too few or duplicate examples: other examples, more rounds, and a higher temperature unless acceptance failed
      too, since lower temperatures take precedence.

    Args:
        config: the configuration of the attempt that failed.
        failed_reasons: `failed_reasons` of its QC summary.
        retry: 1 for the first retry.
    """
    failed = {reason.split(" ", 1)[0] for reason in failed_reasons}
    settings = config.generation
    if failed & _LIMIT:
        settings = _with_longer_budget(settings)
    if failed & _FORM:
        settings = _with_better_responses(settings, retry)
    if failed & _INSTRUCTIONS:
        settings = _with_better_instructions(settings, retry)
    if failed & _VARIETY:
        settings = _with_more_variety(settings, heated=not failed & (_FORM | _INSTRUCTIONS))
    return config.model_copy(update={"generation": settings})


def _with_longer_budget(settings: GenerationSettings) -> GenerationSettings:
    sampling = settings.response_sampling
    longer = sampling.model_copy(update={"max_new_tokens": round(sampling.max_new_tokens * _LONGER)})
    return settings.model_copy(update={"response_sampling": longer})


def _with_better_responses(settings: GenerationSettings, retry: int) -> GenerationSettings:
    update: dict[str, object] = {"few_shot_examples": min(settings.few_shot_examples + 1, _MAX_EXAMPLES)}
    if retry > 1:
        update["response_sampling"] = _with_temperature(settings.response_sampling, _LOWER)
    return settings.model_copy(update=update)


def _with_better_instructions(settings: GenerationSettings, retry: int) -> GenerationSettings:
    update: dict[str, object] = {"list_examples": min(settings.list_examples + 2, _MAX_EXAMPLES)}
    if retry > 1:
        update["instruction_sampling"] = _with_temperature(settings.instruction_sampling, _LOWER)
    return settings.model_copy(update=update)


def _with_more_variety(settings: GenerationSettings, *, heated: bool) -> GenerationSettings:
    update: dict[str, object] = {
        "example_rotation": settings.example_rotation + 1,
        "max_batches_per_item": settings.max_batches_per_item * _LONGER,
    }
    if heated:
        update["instruction_sampling"] = _with_temperature(settings.instruction_sampling, _HIGHER)
    return settings.model_copy(update=update)


def _with_temperature(sampling: Sampling, factor: float) -> Sampling:
    temperature = sampling.temperature * factor
    limit = max(_MAX_TEMPERATURE, sampling.temperature)
    return sampling.model_copy(update={"temperature": round(min(temperature, limit), 4)})
