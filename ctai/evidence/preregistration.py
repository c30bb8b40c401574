"""What a run commits itself to before it measures anything: thresholds, test families, hypothesis.

The book is ctai's own: the thresholds of `ctai.config` as they are shipped. A user may set others, and the run goes on;
but a verdict whose thresholds are looser than the book's says so, and is not one by the book.
"""

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from ctai.config import RunConfig
from ctai.records import Preregistration
from ctai.registry import GateSpec, gates_before
from ctai.rundir import digest_of
from ctai.tasks.base import Family
from ctai.tasks.registry import select_families

_HYPOTHESIS = (
    "on the held-out items SFT gives right content more often than its base: McNemar's test, two-sided, counts when SFT "
    "wins more of the discordant pairs; the n-th look at the test set, in whatever session, has the n-th part of alpha"
)
_HIGHER, _LOWER, _OTHER = operator.gt, operator.lt, operator.ne


class _LooserRule(NamedTuple):
    """A setting that decides what passes, and how a looser one compares with the book's."""

    key: str
    looser: Callable[[Any, Any], bool]


_THRESHOLDS = (
    *(_LooserRule(f"qc.{name}", _HIGHER) for name in ("runaway", "token_limit", "delimiter", "truncated")),
    *(_LooserRule(f"qc.{name}", _HIGHER) for name in ("median_tokens", "duplicates", "overlap")),
    *(_LooserRule(f"qc.{name}", _LOWER) for name in ("instruction_acceptance", "pair_acceptance")),
    *(_LooserRule(f"instruments.{name}", _LOWER) for name in ("scorer_kappa", "scorer_family_kappa")),
    *(_LooserRule(f"instruments.{name}", _LOWER) for name in ("detector_precision", "detector_recall")),
    _LooserRule("scale.near_duplicate_jaccard", _HIGHER),  # the filter and the check of overlap both stand on it
    _LooserRule("critic.balanced_accuracy_floor", _LOWER),
    _LooserRule("critic.confident_margin", _LOWER),
    _LooserRule("generation.filter_with_critic", _OTHER),
    _LooserRule("heldout.minimum", _LOWER),
    _LooserRule("heldout.power", _LOWER),
    _LooserRule("heldout.lift_to_detect", _HIGHER),
    _LooserRule("evaluation.headroom_max_base", _HIGHER),
    _LooserRule("evaluation.alpha", _HIGHER),
    _LooserRule("evaluation.fdr", _HIGHER),
    _LooserRule("evaluation.max_interval_width", _HIGHER),
)


def preregister(config: RunConfig) -> Preregistration:
    """What a run of this configuration commits itself to."""
    return Preregistration(
        hypothesis=_HYPOTHESIS,
        thresholds={threshold.key: _value(config, threshold.key) for threshold in _THRESHOLDS},
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
    """Where the thresholds that a gate stands on, its own or those of gates before it, are looser than the book's."""
    book = RunConfig()
    sections = {section for each in (*gates_before(gate.name), gate) for section in each.sections}
    found = []
    for key, looser in _THRESHOLDS:
        mine, theirs = _value(config, key), _value(book, key)
        if key.split(".")[0] in sections and looser(mine, theirs):
            found.append(f"{key} is {_text(mine)}, by the book {_text(theirs)}")
    if "control" in sections and config.control != book.control:
        found.append(f"this is the control run {config.control}")
    return tuple(found)


def _value(config: RunConfig, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _families(families: tuple[Family, ...]) -> dict[str, str]:
    """The digest of what each family can ask, and in which words."""
    return {family.name: digest_of([family.type, family.phrasings, family.keys]) for family in families}
