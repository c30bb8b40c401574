"""Configurations that no run can pass, found before a model is loaded.

Owns only what follows from the settings: a gate that needs the model, or the families of the test set, decides the rest.
"""

import math
from collections.abc import Iterator

from ctai.config.metric_values import setting_value
from ctai.config.schema import RunConfig
from ctai.registry import METRICS

# Tokens of an answer and its end: with fewer, every answer is cut off.
_MIN_ANSWER_TOKENS = 2
# Tokens of the shortest line of an instruction list: one of text and a line break.
_MIN_LINE_TOKENS = 2


def impossible_settings(config: RunConfig) -> Iterator[str]:
    """Yield a sentence for each setting with which a gate cannot pass, whatever the model does."""
    for key in ("headroom.max_new_tokens", "generation.response_sampling.max_new_tokens"):
        if setting_value(config, key) < _MIN_ANSWER_TOKENS:
            yield f"{key}: one token holds no answer with its end; raise it to {_MIN_ANSWER_TOKENS} or more"
    for spec in METRICS.values():
        if spec.setting and spec.comparison == "<" and setting_value(config, spec.setting) <= 0:
            yield f"{spec.setting}: {spec.name} cannot be below 0; raise the threshold"
    training, examples = config.training, config.scale.count
    if examples * training.epochs < training.batch_size:
        yield (
            f"training.epochs: {training.epochs:g} of {examples} examples is less than one optimizer step of "
            f"{training.batch_size}; raise it"
        )
    yield from _unreachable_counts(config)


def _unreachable_counts(config: RunConfig) -> Iterator[str]:
    """Yield the counts that all rounds together cannot reach, even with the shortest instructions and no rejection."""
    generation, scale = config.generation, config.scale
    per_round = generation.batch_size * (generation.instruction_sampling.max_new_tokens // _MIN_LINE_TOKENS)
    targets = {"pilot.count": config.pilot.count, "scale.count": math.ceil(scale.count / scale.shards)}
    for key, target in targets.items():
        rounds = math.ceil(generation.max_batches_per_item * math.ceil(target / generation.batch_size))
        if rounds * per_round < target:
            yield (
                f"{key}: {target} examples need more than the {rounds * per_round} lines of {rounds} rounds; raise "
                "generation.max_batches_per_item or generation.instruction_sampling.max_new_tokens"
            )
