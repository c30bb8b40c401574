"""Preregistration of a run, and reporting of relaxed thresholds."""

import pytest

from ctai.config import RunConfig, setting_value
from ctai.evidence.preregistration import describe_changes, preregister, relaxed_thresholds
from ctai.evidence.verdicts import record_verdict, verdict_status
from ctai.records import Preregistration
from ctai.registry import CLAIM_SETTINGS, GATES, RELAXABLE_SETTINGS, GateSpec, gate_named, relaxable_settings
from ctai.rundir import RunDir, digest_of, read_record, sha256_file, write_json
from tests.unit.evidence.test_verdicts import measured

pytestmark = pytest.mark.unit

LOOSER = {
    "qc.runaway": 0.2,
    "qc.token_limit": 0.2,
    "qc.delimiter": 0.01,
    "qc.truncated": 0.1,
    "qc.median_tokens": 60,
    "qc.duplicates": 0.1,
    "qc.overlap": 0.1,
    "qc.instruction_acceptance": 0.3,
    "qc.pair_acceptance": 0.3,
    "qc.critic_gain": -0.05,
    "instruments.scorer_kappa": 0.5,
    "instruments.scorer_family_kappa": 0.5,
    "instruments.detector_precision": 0.5,
    "instruments.detector_recall": 0.5,
    "scale.near_duplicate_jaccard": 0.95,
    "critic.balanced_accuracy_floor": 0.5,
    "critic.confident_margin": 0.5,
    "generation.filter_with_critic": "false",
    "heldout.power": 0.5,
    "heldout.minimum": 200,
    "heldout.minimum_per_type": 5,
    "heldout.minimum_guarded": 100,
    "heldout.minimum_guarded_families": 3,
    "heldout.minimum_unseen": 50,
    "heldout.minimum_unseen_families": 3,
    "heldout.discordance": 0.1,
    "heldout.intraclass_correlation": 0.01,
    "heldout.lift_to_detect": 0.3,
    "headroom.max_base": 0.5,
    "headroom.max_base_upper": 0.6,
    "headroom.min_reference": 0.5,
    "headroom.reference_required": "false",
    "evaluation.alpha": 0.05,
    "evaluation.fdr": 0.2,
    "evaluation.max_interval_width": 0.3,
    "evaluation.min_stop_rate": 0.9,
    "evaluation.min_strict_share": 0.8,
    "evaluation.non_inferiority_limit": -0.1,
}


def configured(key: str, value: object) -> RunConfig:
    return RunConfig.load("pod", [f"{key}={value}"])


def judged(rundir: RunDir, config: RunConfig, gate: str):
    return record_verdict(
        rundir, config, measured(rundir, gate), dict.fromkeys(gate_named(gate).metric_names, "passed")
    )


def test_the_pod_profile_relaxes_nothing_and_the_embedded_one_names_its_test_set_and_its_gap():
    assert relaxed_thresholds(RunConfig.load("pod"), GATES[-1]) == ()
    gap = {"headroom.max_base = 0.599 (default 0.3)", "headroom.max_base_upper = 0.7 (default 0.4)"}
    test_set = {
        "heldout.minimum = 190 (default 300)",
        "heldout.minimum_per_type = 8 (default 30)",
        "heldout.lift_to_detect = 0.15 (default 0.1)",
        "heldout.discordance = 0.04 (default 0.2)",
    }
    embedded = RunConfig.load("embedded")
    relaxed = [set(relaxed_thresholds(embedded, gate)) for gate in GATES]
    assert relaxed == [set(), test_set, *[test_set | gap] * 4]


@pytest.mark.parametrize(("key", "value"), LOOSER.items())
def test_a_loosened_threshold_is_named(key, value):
    (relaxed,) = relaxed_thresholds(configured(key, value), GATES[-1])
    assert relaxed.startswith(f"{key} = ")
    assert "(default " in relaxed


def test_every_threshold_that_can_be_loosened_is_tried_here():
    assert {setting.key for setting in relaxable_settings()} == LOOSER.keys()


SMALLER = {
    "generation.few_shot_examples": 1,
    "heldout.count": 310,
    "critic.probes": 100,
    "headroom.max_new_tokens": 8,
    "pilot.count": 100,
    "scale.count": 20,
    "scale.shards": 1,
    "training.epochs": 0.5,
    "training.batch_size": 32,
    "training.max_tokens": 64,
}


def added(config: RunConfig, gate: GateSpec = GATES[-1], profile: str = "embedded") -> tuple[str, ...]:
    """What a configuration relaxes beyond its profile."""
    shipped = relaxed_thresholds(RunConfig.load(profile), gate)
    return tuple(line for line in relaxed_thresholds(config, gate) if line not in shipped)


@pytest.mark.parametrize("profile", ["embedded", "pod"])
@pytest.mark.parametrize(("key", "value"), SMALLER.items())
def test_a_size_below_that_of_the_profile_is_named(key, value, profile):
    expected = setting_value(RunConfig.load(profile), key)
    assert (expected < value) == (key == "training.batch_size")  # a larger batch gives fewer steps
    assert expected != value
    (line,) = added(RunConfig.load(profile, [f"{key}={value}"]), profile=profile)
    assert line == f"{key} = {value:g} (profile {profile}: {expected:g})"


def test_a_size_above_that_of_the_profile_is_not_named():
    assert added(RunConfig.load("embedded", ["scale.count=2000", "training.epochs=5", "pilot.count=150"])) == ()


def test_every_size_that_weakens_a_claim_is_tried_here_and_says_why():
    assert {setting.key for setting in CLAIM_SETTINGS} == SMALLER.keys()
    assert all(setting.reason for setting in (*CLAIM_SETTINGS, *RELAXABLE_SETTINGS))


def test_a_size_is_named_from_the_gate_on_that_depends_on_it():
    config = RunConfig.load("embedded", ["scale.count=20", "heldout.count=310"])
    assert relaxed_thresholds(config, gate_named("contamination")) == ()
    assert added(config, gate_named("pilot")) == ("heldout.count = 310 (profile embedded: 350)",)
    assert len(added(config, gate_named("scale"))) == 2


def test_a_profile_of_its_own_is_compared_with_the_defaults(tmp_path):
    profile = tmp_path / "mine.toml"
    profile.write_text("[scale]\ncount = 1000\n")
    assert relaxed_thresholds(RunConfig.load(str(profile)), GATES[-1]) == ("scale.count = 1000 (default 15000)",)


def test_the_sizes_and_the_test_set_of_the_embedded_model_are_for_no_other_model():
    relaxed = relaxed_thresholds(RunConfig.load("embedded", ["model.name=some/model"]), GATES[-1])
    assert "scale.count = 1000 (default 15000)" in relaxed
    assert "generation.embedded_world = True (the test set of the embedded model is put to another model)" in relaxed
    assert relaxed_thresholds(RunConfig.load("pod"), GATES[-1]) == ()


@pytest.mark.parametrize(("key", "value"), [("qc.runaway", 0.01), ("evaluation.alpha", 0.001), ("heldout.power", 0.9)])
def test_a_tightened_threshold_is_not_relaxed(key, value):
    assert relaxed_thresholds(configured(key, value), GATES[-1]) == ()


def test_a_control_run_is_named():
    control = RunConfig.load("pod", control="seeds-only")
    assert relaxed_thresholds(control, GATES[-1]) == ("control run: seeds-only",)
    assert relaxed_thresholds(control, gate_named("scale")) == ()
    assert preregister(control) == preregister(RunConfig.load("pod"))  # a control starts from a sound run's data


def test_a_verdict_names_a_relaxed_threshold(tmp_path):
    rundir, config = RunDir.open(tmp_path), configured("qc.runaway", 0.2)
    first = judged(rundir, config, "contamination")
    assert first.relaxed_thresholds == ()  # the thresholds that it stands on are as shipped
    judged(rundir, config, "instruments")
    pilot = judged(rundir, config, "pilot")
    assert pilot.passed
    assert pilot.relaxed_thresholds == ("qc.runaway = 0.2 (default 0.05)",)
    assert (
        judged(rundir, config, "scale").relaxed_thresholds == pilot.relaxed_thresholds
    )  # and so do all gates after it


def test_a_threshold_changed_afterwards_makes_every_verdict_stale(tmp_path):
    rundir, config = RunDir.open(tmp_path), RunConfig.load("pod")
    verdict = judged(rundir, config, "contamination")
    assert verdict.preregistration == digest_of(preregister(config))
    later = configured("evaluation.alpha", 0.05)
    assert "seed, thresholds or test families have changed" in verdict_status(rundir, later, GATES[0]).problem
    write_json(rundir.preregistration, preregister(config))
    assert verdict_status(rundir, later, GATES[0]).problem.endswith("is stale: evaluation.alpha was 0.01 and is 0.05")


def test_another_seed_in_the_same_directory_is_named(tmp_path):
    rundir, config = RunDir.open(tmp_path), RunConfig.load("pod")
    judged(rundir, config, "contamination")
    write_json(rundir.preregistration, preregister(config))
    problem = verdict_status(rundir, RunConfig.load("pod", seed=7), GATES[0]).problem
    assert problem == "the verdict of gate contamination is stale: seed was 0 and is 7"


def test_the_test_set_of_the_preregistration_is_the_file_that_the_run_freezes(finished):
    rundir = RunDir(finished)
    preregistration = read_record(rundir.preregistration, Preregistration)
    assert preregistration.heldout_sha256 == sha256_file(rundir.heldout)
    assert preregistration.hypotheses[0].name == "content lift"
    assert "n-th" in preregistration.alpha_spending


def test_another_draw_of_the_test_set_is_named_where_nothing_else_has_changed():
    before = preregister(RunConfig.load("embedded"))
    after = before.model_copy(update={"heldout_sha256": "1234567890"})
    expected = f"the SHA-256 of the test set was {before.heldout_sha256[:8]} and is 12345678"
    assert describe_changes(before, after) == expected
    assert describe_changes(before, after.model_copy(update={"seed": 7})) == "seed was 0 and is 7"


def test_the_commitment_survives_being_written_and_read():
    pod = preregister(RunConfig.load("pod"))
    assert digest_of(Preregistration.model_validate_json(pod.model_dump_json())) == digest_of(pod)
    assert len(pod.families) > len(preregister(RunConfig.load("embedded")).families) > 10
