"""Size and power of the test set: the shipped profiles meet every floor, and each floor can be missed."""

from collections import Counter

import pytest

from ctai.config import RunConfig
from ctai.evaluate.heldout_size import heldout_problems, heldout_values
from ctai.registry import metric_spec
from ctai.tasks import GUARDED_TYPES
from ctai.tasks.base import TYPES
from ctai.tasks.heldout import build_heldout
from tests.support.thresholds import metrics_of

pytestmark = pytest.mark.unit


def pod(*settings: str, seed: int = 0) -> RunConfig:
    return RunConfig.load("pod", settings, seed=seed)


def items_of(config: RunConfig):
    settings, embedded = config.heldout, config.generation.embedded_world
    return build_heldout(settings.count, config.seed, embedded, settings.unseen_count)


def missed(config: RunConfig) -> set[str]:
    return {problem.partition(" ")[0] for problem in heldout_problems(config)}


@pytest.mark.parametrize("seed", [0, 1, 2, 17, 2026])
def test_the_test_set_of_the_pod_profile_meets_every_floor(seed):
    config = pod(seed=seed)
    items = items_of(config)
    asked = [item for item in items if item.split == "asked"]
    assert len(asked) == 1200
    types = Counter(item.type for item in asked)
    families = {kind: {item.family for item in asked if item.type == kind} for kind in TYPES}
    assert set(types) == set(TYPES)
    assert min(types.values()) >= 30
    assert min(map(len, families.values())) >= 3
    assert sum(types[kind] for kind in GUARDED_TYPES) >= 300
    assert sum(len(families[kind]) for kind in GUARDED_TYPES) >= 8
    unseen = [item for item in items if item.split == "unseen"]
    assert len(unseen) == 160
    assert len({item.family for item in unseen}) >= 8
    assert len({item.type for item in unseen}) >= 5
    metrics = metrics_of(heldout_values(config, items, "a.jsonl"), config)
    assert all(metric.passed for metric in metrics), [metric.sentence() for metric in metrics if not metric.passed]
    assert heldout_problems(config) == ()


@pytest.mark.parametrize("profile", ["embedded", "pod"])
def test_no_built_in_profile_and_no_default_is_refused(profile):
    assert heldout_problems(RunConfig.load(profile)) == heldout_problems(RunConfig()) == ()


def test_the_embedded_model_has_neither_guarded_types_nor_unseen_families():
    config = RunConfig.load("embedded")
    metrics = {m.name: m for m in metrics_of(heldout_values(config, items_of(config), "a.jsonl"), config)}
    without = {name for name, metric in metrics.items() if not metric.applicable}
    assert without == {f"heldout_{group}_{unit}" for group in ("guarded", "unseen") for unit in ("items", "families")}
    assert all(metrics[name].note.endswith("the run has none") and metrics[name].n == 0 for name in without)
    assert all(metric.passed for name, metric in metrics.items() if name not in without)
    assert 195 < metrics["heldout_effective_items"].value < 200


@pytest.mark.parametrize(
    ("setting", "metrics"),
    [
        ("heldout.unseen_count=100", {"heldout_unseen_items"}),
        ("heldout.unseen_count=0", {"heldout_unseen_items", "heldout_unseen_families"}),
        ("heldout.count=1000", {"heldout_non_inferiority_power", "heldout_guarded_items"}),
        ("heldout.discordance=0.25", {"heldout_non_inferiority_power"}),
        ("heldout.intraclass_correlation=0.22", {"heldout_effective_items", "heldout_non_inferiority_power"}),
        ("heldout.lift_to_detect=0.04", {"heldout_power"}),
        ("heldout.minimum_per_type=90", {"heldout_items_per_type"}),
        ("heldout.minimum_guarded=400", {"heldout_guarded_items"}),
        ("heldout.minimum_guarded_families=40", {"heldout_guarded_families"}),
        ("heldout.minimum_unseen_families=13", {"heldout_unseen_families"}),
        ("heldout.minimum=750", {"heldout_effective_items"}),
    ],
)
def test_each_floor_can_be_missed(setting, metrics):
    assert missed(pod(setting)) == metrics
    assert all(metric_spec(name).remedy in " ".join(heldout_problems(pod(setting))) for name in metrics)


def test_items_of_one_family_count_less_than_those_of_many():
    config = pod()
    items = items_of(config)
    many = [item for item in items if item.split == "asked"][:200]
    few = [item.model_copy(update={"family": str(item.item % 10)}) for item in many]
    effective = [heldout_values(config, each, "")["heldout_effective_items"].value for each in (many, few)]
    assert effective[1] == pytest.approx(200 / (1 + 0.05 * 19))
    assert effective[0] > 1.5 * effective[1]


def test_a_test_set_without_items_has_no_power():
    values = heldout_values(pod(), [], "")
    assert values["heldout_effective_items"].value == 0
    assert values["heldout_power"].value < 0.01
    assert values["heldout_non_inferiority_power"].value < 0.01
    assert all(value.applicable for value in values.values())
