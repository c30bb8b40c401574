"""Preregistration: thresholds, test families and hypothesis that a run commits itself to before it measures anything.

A user may relax a threshold and the run continues; every verdict that rests on it names the relaxed threshold.
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
    "wins more of the discordant pairs; the n-th look at the test set, in whatever session, has the n-th part of alpha"
)
_IS_LOOSER: dict[str, Callable[[Any, Any], bool]] = {
    "higher": operator.gt,
    "lower": operator.lt,
    "different": operator.ne,
}


def preregister(config: RunConfig) -> Preregistration:
    """What a run of this configuration commits itself to."""
    return Preregistration(
        hypothesis=_HYPOTHESIS,
        thresholds={setting.key: setting_value(config, setting.key) for setting in relaxable_settings()},
        families=_families(select_families(config.generation.embedded_world)),
        heldout_count=config.heldout.count,
        seed=config.seed,
    )


def changes(before: Preregistration, now: Preregistration) -> str:
    """What is committed to now and was not before, setting by setting, as one phrase."""
    old, new = _flat(before), _flat(now)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(
        f"{name} was {_text(old.get(name, 'unset'))} and is {_text(new.get(name, 'unset'))}" for name in names
    )


def _flat(committed: Preregistration) -> dict[str, Any]:
    """Every single thing that a run commits itself to, by name; of a family the start of its digest will do."""
    families = {f"test family {name}": digest[:8] for name, digest in committed.families.items()}
    rest = {"heldout.count": committed.heldout_count, "the hypothesis": committed.hypothesis}
    return {"seed": committed.seed, **rest, **committed.thresholds, **families}


def relaxed_thresholds(config: RunConfig, gate: GateSpec) -> tuple[str, ...]:
    """Return the settings that are looser than the defaults, among those that a gate and the gates before it depend on."""
    defaults = RunConfig()
    sections = {section for each in (*gates_before(gate.name), gate) for section in each.sections}
    relaxed = []
    for key, looser in relaxable_settings():
        value, default = setting_value(config, key), setting_value(defaults, key)
        if key.split(".")[0] in sections and _IS_LOOSER[looser](value, default):
            relaxed.append(f"{key} = {_text(value)} (default {_text(default)})")
    if "control" in sections and config.control != defaults.control:
        relaxed.append(f"control run: {config.control}")
    return tuple(relaxed)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _families(families: tuple[Family, ...]) -> dict[str, str]:
    """The digest of what each family can ask, and in which words."""
    return {family.name: digest_of([family.type, family.phrasings, family.keys]) for family in families}
