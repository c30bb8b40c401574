"""Preregistration: hypotheses, thresholds, test families, test set and seed of a run, fixed before any measurement.

A user may relax a threshold and the run continues; every verdict that depends on it names the relaxed threshold.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from ctai.config import BUILT_IN_PROFILES, HeldoutSettings, RunConfig, setting_value
from ctai.records import Hypothesis, Preregistration
from ctai.registry import CLAIM_SETTINGS, METRICS, RIVALS, GateSpec, RelaxableSetting, gates_before, relaxable_settings
from ctai.rundir import digest_of, jsonl_lines, sha256_bytes
from ctai.tasks.base import Family
from ctai.tasks.heldout import build_heldout
from ctai.tasks.registry import select_families

# By the metric that tests each; the first is the primary one. A GO needs all of them, so that they share no alpha.
_HYPOTHESES = {
    "content_p_value": Hypothesis(
        name="content lift",
        statement="on the held-out items SFT gives right content more often than its base: McNemar's test, two-sided, "
        "counts when SFT wins more of the discordant pairs",
    ),
    "few_shot_non_inferiority": Hypothesis(
        name="non-inferiority to few-shot",
        statement="SFT gives right content no less often than the base with examples in its prompt, within a margin: "
        "lower 95% bound of the difference, clustered by family",
    ),
    "stop_rate": Hypothesis(
        name="stop rate",
        statement="SFT ends its answers by itself: lower 95% bound of the rate",
    ),
}
_ALPHA_SPENDING = (
    "the n-th comparison on the test set and base weights, in whatever run directory, has the share 6 / (pi^2 n^2) of "
    "alpha, and all shares sum to alpha"
)
_EMBEDDED = "embedded"  # name of the profile and of the model
_TEST_SET = "the SHA-256 of the test set"
_IS_LOOSER: dict[str, Callable[[Any, Any], bool]] = {
    "higher": operator.gt,
    "lower": operator.lt,
    "different": operator.ne,
}


def preregister(config: RunConfig) -> Preregistration:
    """Return the preregistration of a run with this configuration."""
    return Preregistration(
        hypotheses=tuple(_HYPOTHESES[metric] for metric in _HYPOTHESES if metric in METRICS),  # what a gate tests
        alpha_spending=_ALPHA_SPENDING,
        thresholds={setting.key: setting_value(config, setting.key) for setting in relaxable_settings()},
        families=_families(select_families(config.generation.embedded_world)),
        rivals=RIVALS,
        heldout_count=config.heldout.count,
        heldout_sha256=heldout_digest(config),
        seed=config.seed,
    )


def heldout_digest(config: RunConfig) -> str:
    """Return the SHA-256 of the file of the test set that a run with this configuration freezes."""
    embedded = config.generation.embedded_world
    return _heldout_digest(config.heldout, config.seed, embedded, select_families(embedded))


def describe_changes(before: Preregistration, after: Preregistration) -> str:
    """Return the differences between two preregistrations, setting by setting, as one phrase."""
    old, new = _flatten(before), _flatten(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if len(names) > 1:  # then another test set follows from what is named already
        names = [name for name in names if name != _TEST_SET]
    return ", ".join(
        f"{name} was {_format(old.get(name, 'unset'))} and is {_format(new.get(name, 'unset'))}" for name in names
    )


def _flatten(record: Preregistration) -> dict[str, Any]:
    """Return every preregistered value by name; a family is represented by the start of its digest."""
    families = {f"test family {name}": digest[:8] for name, digest in record.families.items()}
    hypotheses = {f"hypothesis {hypothesis.name}": hypothesis.statement for hypothesis in record.hypotheses}
    rest = {
        "heldout.count": record.heldout_count,
        "the rule of alpha spending": record.alpha_spending,
        "the rivals": ", ".join(record.rivals),
        **hypotheses,
        **record.thresholds,
        **families,
    }
    return {"seed": record.seed, **rest, _TEST_SET: record.heldout_sha256[:8]}


def relaxed_thresholds(config: RunConfig, gate: GateSpec) -> tuple[str, ...]:
    """Return the settings that weaken a verdict, among those that the gate and the gates before it depend on.

    Thresholds are compared with the defaults, sizes (`CLAIM_SETTINGS`) with the built-in profile of the run. The values of
    profile `embedded` were measured on the embedded model and hold for no other one; a run with another
    profile is compared with the defaults.
    """
    sections = {section for g in (*gates_before(gate.name), gate) for section in g.sections}
    profile = _built_in_profile(config)
    relaxed = [
        *_looser_settings(config, relaxable_settings(), RunConfig(), "default "),
        *_looser_settings(config, CLAIM_SETTINGS, _profile(profile), f"profile {profile}: " if profile else "default "),
    ]
    if config.generation.embedded_world and config.model.name != _EMBEDDED:
        line = "generation.embedded_world = True (the test set of the embedded model is put to another model)"
        relaxed.append(("generation", line))
    if config.control != RunConfig().control:
        relaxed.append(("control", f"control run: {config.control}"))
    return tuple(line for section, line in relaxed if section in sections)


def _looser_settings(
    config: RunConfig, settings: Iterable[RelaxableSetting], reference: RunConfig, origin: str
) -> Iterator[tuple[str, str]]:
    """Yield section and description of each setting that is looser than in a reference configuration."""
    for key, looser, _ in settings:
        value, expected = setting_value(config, key), setting_value(reference, key)
        if _IS_LOOSER[looser](value, expected):
            yield key.split(".")[0], f"{key} = {_format(value)} ({origin}{_format(expected)})"


def _built_in_profile(config: RunConfig) -> str:
    """Return the built-in profile whose sizes a run has to reach; empty where there is none."""
    is_meant = config.profile != _EMBEDDED or config.model.name == _EMBEDDED
    return config.profile if config.profile in BUILT_IN_PROFILES and is_meant else ""


@cache
def _profile(name: str) -> RunConfig:
    """Return the configuration of a built-in profile, or the defaults."""
    return RunConfig.load(name) if name else RunConfig()


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _heldout_digest(settings: HeldoutSettings, seed: int, embedded: bool, _families: tuple[Family, ...]) -> str:
    """Draw the test set once per process and selection of families, and hash its lines."""
    items = build_heldout(settings.count, seed, embedded, settings.unseen_count)
    return sha256_bytes(b"".join(jsonl_lines(items)))


@cache
def _families(families: tuple[Family, ...]) -> dict[str, str]:
    """Return a digest of the type, phrasings and keys of each family, by name."""
    return {family.name: digest_of([family.type, family.phrasings, family.keys]) for family in families}
