"""Plugins of instruction families: loading, validation, scoring, calibration and verification; no effect without them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctai.cli import main
from ctai.config import RunConfig
from ctai.errors import ConfigError, CtaiError
from ctai.evidence.preregistration import preregister
from ctai.gates.instruments import scorer_values
from ctai.generate.dedup.deduplication import deduplicate
from ctai.rundir import digest_of
from ctai.tasks import plugins, probes, registry, seeds
from ctai.tasks.calibration import calibrate_scorers
from ctai.tasks.heldout import build_heldout, heldout_keys, is_heldout
from tests.docs.conftest import finished_with_families, write_families
from tests.support.generated import example
from tests.support.thresholds import metrics_of

__all__ = ["finished_with_families"]
pytestmark = pytest.mark.unit
NAME = "roman_numeral"


@pytest.fixture(autouse=True)
def _deactivate() -> Iterator[None]:
    yield
    plugins.activate(())


@pytest.fixture
def module(tmp_path) -> Path:
    """The module of docs/own_families.md, active."""
    path = write_families(tmp_path)
    plugins.activate([str(path)])
    return path


# ---------------------------------------------------------------------------------------------- without plugins


def test_a_configuration_without_plugins_does_not_mention_them():
    for profile in ("embedded", "pod"):
        assert not {"families", "families_sha256"} & RunConfig.load(profile).model_dump()["generation"].keys()
    assert plugins.parameters() == {}


def test_deactivation_restores_every_draw(tmp_path):
    config = RunConfig.load("embedded")

    def digest() -> str:
        drawn = [build_heldout(350, 0, True), calibrate_scorers(True), preregister(config)]
        return digest_of([*drawn, seeds.seed_pairs(), seeds.topics(), str(probes.pair_probes(100, 0, heldout=True))])

    before = digest()
    plugins.activate([str(write_families(tmp_path))])
    assert digest() != before
    plugins.activate(())
    assert digest() == before


# ----------------------------------------------------------------------------------------------- with plugins


def test_plugins_are_in_the_test_set_the_seeds_the_probes_and_the_preregistration(module):
    items = [item for item in build_heldout(350, 0, True) if item.family == NAME]
    assert {item.key for item in items} == heldout_keys(NAME)
    assert len(items) == 20
    parsed = [registry.parse(pair.instruction) for pair in seeds.seed_pairs()]
    plugin_seeds = [seed for seed in parsed if seed is not None and seed[0] == NAME]
    assert len(plugin_seeds) == 2
    assert not any(is_heldout(*seed) for seed in plugin_seeds)
    assert "roman numeral" in seeds.topics()
    assert any(probe.family == NAME for probe in probes.pair_probes(300, 0, heldout=True))
    assert NAME in preregister(RunConfig.load("embedded")).families


def test_plugins_are_parsed_and_scored(module):
    assert registry.parse("what is 14 in roman numerals") == (NAME, "14")
    assert registry.score("Write 14 as a Roman numeral.", " XIV").content
    assert not registry.score("Write 14 as a Roman numeral.", " XVI").content


def test_a_heldout_key_in_other_words_is_dropped(module):
    heldout = next(item for item in build_heldout(350, 0, True) if item.family == NAME)
    key = next(key for key in map(str, range(1, 40)) if not is_heldout(NAME, key))
    asked = [f"What is {heldout.key} in Roman numerals?", f"Write {heldout.key} as a Roman numeral."]
    records = [example(i, instruction=text) for i, text in enumerate((*asked, f"Write {key} as a Roman numeral."))]
    kept, dropped = deduplicate(records, against=[heldout])
    assert [record.instruction for record in kept] == [f"Write {key} as a Roman numeral."]
    assert {drop.reason for drop in dropped} <= {"heldout key", "heldout text", "exact", "normalized"}
    plugins.activate(())
    kept, _ = deduplicate(records, against=[heldout])
    assert len(kept) > 1  # what does not parse is not known to be the same


@pytest.mark.parametrize(("labels", "calibrated"), [(16, True), (14, False), (0, False)])
def test_a_scorer_counts_as_calibrated_on_enough_labels_only(tmp_path, labels, calibrated):
    plugins.activate([str(write_families(tmp_path, labels))])
    found = calibrate_scorers(True)
    metric = metrics_of(scorer_values(found, "artifact"), RunConfig())[1]
    assert found.by_family[NAME].n == labels
    assert metric.passed == calibrated
    assert ("family roman_numeral" in metric.note and "is not calibrated" in metric.note) != calibrated


def test_a_wrong_scorer_fails_calibration(tmp_path):
    module = write_families(tmp_path)
    labels = module.with_name("my_answers.jsonl")
    answers = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    contrary = [answer | {"content": not answer["content"]} for answer in answers]
    labels.write_text("".join(json.dumps(answer) + "\n" for answer in contrary), encoding="utf-8")
    plugins.activate([str(module)])
    metric = metrics_of(scorer_values(calibrate_scorers(True), "artifact"), RunConfig())[1]
    assert not metric.passed


# ------------------------------------------------------------------------------------------------ loading


def test_a_module_and_an_entry_point_work_too(tmp_path, monkeypatch):
    digest = plugins.activate([str(write_families(tmp_path))])
    monkeypatch.chdir(tmp_path)
    assert plugins.activate(["my_families"]) == digest
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[ctai.families]\nroman = my_families\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins.activate(["roman"]) == digest


def test_all_errors_are_listed_at_once(tmp_path):
    path = write_families(tmp_path)
    text = (
        path.read_text(encoding="utf-8")
        .replace('type="number"', 'type="numbr"')
        .replace("embedded=False", "embedded=True")
    )
    path.write_text(text.replace('name="roman_numeral"', 'name="capital"'), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plugins.activate([str(path)])
    message = str(caught.value)
    assert "capital: another family has this name" in message
    assert "type 'numbr' is not one of fact, word" in message
    assert "embedded must be False" in message
    assert "labelled answer 1: family 'roman_numeral' has no instruction" in message


def test_a_scorer_that_rejects_its_own_answers_is_an_error(tmp_path):
    path = tmp_path / "strict.py"
    path.write_text(
        "from ctai.tasks import RuleFamily\n"
        "answers = {key: 'yes' for key in 'abcd'}\n"
        "FAMILIES = [RuleFamily('strict', 'word', False, ('Say {key}.',), (), tuple(answers), answers, lambda k, t: 'no')]\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match="strict: its scorer rejects its own answer to 'a': no"):
        plugins.activate([str(path)])


@pytest.mark.parametrize("name", ["nowhere.py", "no_such_module", "json"])
def test_a_name_that_is_no_plugin_is_a_configuration_error(name):
    with pytest.raises(ConfigError, match=r"generation\.families: '" + name):
        plugins.activate([name])


def test_an_expected_digest_must_match(module, tmp_path):
    digest = plugins.active().digest
    assert plugins.activate([str(module)], digest) == digest
    with pytest.raises(ConfigError, match="Restore the files, or leave out families_sha256"):
        plugins.activate([str(module)], "0" * 64)


# ----------------------------------------------------------------------------------------------- verifying


def test_a_run_with_plugins_verifies_with_them_and_runs_no_code_without(finished_with_families, capsys):
    folder = finished_with_families
    plugins.activate(())
    assert main(["verify", str(folder)]) == 1
    assert "pass it with --families, which runs it" in capsys.readouterr().out
    assert plugins.active().families == ()
    assert main(["verify", str(folder), "--families", str(folder.with_name("my_families.py"))]) == 0
    assert "OK: all files, verdicts and metrics match the evidence" in capsys.readouterr().out


def test_a_run_without_plugins_needs_none(module):
    with pytest.raises(CtaiError, match="Leave out --families"):
        plugins.require_digest("")
