"""What a retry of the pilot changes, for the reasons that the attempt before it failed.

Owns the rules only. They change how things are generated; no threshold is ever touched.
"""

from collections.abc import Sequence

from ctai.config import GenerationSettings, RunConfig
from ctai.records import Sampling

_MAXIMUM_EXAMPLES = 12
_LOWER, _HIGHER = 0.8, 1.15
_LONGER = 1.5
_MAXIMUM_TEMPERATURE = 1.3

_LIMIT = {"token_limit_rate"}
_FORM = {"runaway_rate", "delimiter_rate", "truncated_rate", "median_tokens", "kept_faults", "pair_acceptance"}
_PROPOSALS = {"instruction_acceptance"}
_VARIETY = {"kept_examples", "unique_examples", "duplicate_rate", "heldout_overlap"}


def retry_generation(config: RunConfig, failed_reasons: Sequence[str], retry: int = 1) -> RunConfig:
    """The configuration of the next attempt.

    - The model ran into its budget: a budget longer by half.
    - Answers of bad form, or not accepted: one more few-shot example; from the second retry on also a lower temperature.
    - Instructions not accepted: longer lists of examples; from the second retry on also a lower temperature.
    - Too few, or the same again and again: other examples, more rounds, and a higher temperature, unless acceptance
      failed too: then lower temperatures have the first word.

    Args:
        config: the configuration of the attempt that failed.
        failed_reasons: its QC summary's `failed_reasons`.
        retry: 1 for the first retry.
    """
    failed = {reason.split(" ", 1)[0] for reason in failed_reasons}
    settings = config.generation
    if failed & _LIMIT:
        settings = _with_longer_budget(settings)
    if failed & _FORM:
        settings = _with_better_answers(settings, retry)
    if failed & _PROPOSALS:
        settings = _with_better_proposals(settings, retry)
    if failed & _VARIETY:
        settings = _with_more_variety(settings, heated=not failed & (_FORM | _PROPOSALS))
    return config.model_copy(update={"generation": settings})


def _with_longer_budget(settings: GenerationSettings) -> GenerationSettings:
    sampling = settings.response_sampling
    longer = sampling.model_copy(update={"max_new_tokens": round(sampling.max_new_tokens * _LONGER)})
    return settings.model_copy(update={"response_sampling": longer})


def _with_better_answers(settings: GenerationSettings, retry: int) -> GenerationSettings:
    update: dict[str, object] = {"few_shot_examples": min(settings.few_shot_examples + 1, _MAXIMUM_EXAMPLES)}
    if retry > 1:
        update["response_sampling"] = _tempered(settings.response_sampling, _LOWER)
    return settings.model_copy(update=update)


def _with_better_proposals(settings: GenerationSettings, retry: int) -> GenerationSettings:
    update: dict[str, object] = {"list_examples": min(settings.list_examples + 2, _MAXIMUM_EXAMPLES)}
    if retry > 1:
        update["instruction_sampling"] = _tempered(settings.instruction_sampling, _LOWER)
    return settings.model_copy(update=update)


def _with_more_variety(settings: GenerationSettings, *, heated: bool) -> GenerationSettings:
    update: dict[str, object] = {
        "example_rotation": settings.example_rotation + 1,
        "max_batches_per_item": settings.max_batches_per_item * _LONGER,
    }
    if heated:
        update["instruction_sampling"] = _tempered(settings.instruction_sampling, _HIGHER)
    return settings.model_copy(update=update)


def _tempered(sampling: Sampling, factor: float) -> Sampling:
    temperature = sampling.temperature * factor
    limit = max(_MAXIMUM_TEMPERATURE, sampling.temperature)
    return sampling.model_copy(update={"temperature": round(min(temperature, limit), 4)})
