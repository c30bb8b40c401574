"""Preregistration: hypothesis, thresholds, test families, test set size and seed of a run, fixed before any measurement.

A user may relax a threshold and the run continues; every verdict that depends on it names the relaxed threshold.
"""

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

from ctai.config import RunConfig, setting_value
from ctai.records import Preregistration
from ctai.registry import GateSpec, gates_before, relaxable_settings
from ctai.rundir import digest_of
from ctai.tasks.base import Family
from ctai.tasks.registry import select_families

_HYPOTHESIS = (
    "on the held-out items SFT gives right content more often than its base: McNemar's test, two-sided, counts when SFT "
    "wins more of the discordant pairs; the n-th comparison on the test set, in whatever session, has the n-th part of alpha"
)
_IS_LOOSER: dict[str, Callable[[Any, Any], bool]] = {
    "higher": operator.gt,
    "lower": operator.lt,
    "different": operator.ne,
}


def preregister(config: RunConfig) -> Preregistration:
    """Return the preregistration of a run with this configuration."""
    return Preregistration(
        hypothesis=_HYPOTHESIS,
        thresholds={setting.key: setting_value(config, setting.key) for setting in relaxable_settings()},
        families=_families(select_families(config.generation.embedded_world)),
        heldout_count=config.heldout.count,
        seed=config.seed,
    )


def describe_changes(before: Preregistration, after: Preregistration) -> str:
    """Return the differences between two preregistrations, setting by setting, as one phrase."""
    old, new = _flatten(before), _flatten(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(
        f"{name} was {_format(old.get(name, 'unset'))} and is {_format(new.get(name, 'unset'))}" for name in names
    )


def _flatten(record: Preregistration) -> dict[str, Any]:
    """Return every preregistered value by name; a family is represented by the start of its digest."""
    families = {f"test family {name}": digest[:8] for name, digest in record.families.items()}
    rest = {"heldout.count": record.heldout_count, "the hypothesis": record.hypothesis}
    return {"seed": record.seed, **rest, **record.thresholds, **families}


def relaxed_thresholds(config: RunConfig, gate: GateSpec) -> tuple[str, ...]:
    """Return the settings that are looser than the defaults, among those that a gate and the gates before it depend on."""
    defaults = RunConfig()
    sections = {section for g in (*gates_before(gate.name), gate) for section in g.sections}
    relaxed = []
    for key, looser in relaxable_settings():
        value, default = setting_value(config, key), setting_value(defaults, key)
        if key.split(".")[0] in sections and _IS_LOOSER[looser](value, default):
            relaxed.append(f"{key} = {_format(value)} (default {_format(default)})")
    if "control" in sections and config.control != defaults.control:
        relaxed.append(f"control run: {config.control}")
    return tuple(relaxed)


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _families(families: tuple[Family, ...]) -> dict[str, str]:
    """Return a digest of the type, phrasings and keys of each family, by name."""
    return {family.name: digest_of([family.type, family.phrasings, family.keys]) for family in families}
