"""What `ctai export` hands to others: it loads, it says what it is, hostile text stays text, and nothing half-made is left."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, ModelCard

from ctai.cli import main
from ctai.errors import CtaiError, PreconditionError
from ctai.evidence.verdicts import read_verdict, verdict_path
from ctai.export import export_run
from ctai.export.adapter import BASE, BaseDescription, write_adapter, write_base
from ctai.export.cards import code_block, escape_inline
from ctai.export.dataset import write_dataset, write_heldout
from ctai.export.finished_run import FinishedRun, open_finished_run
from ctai.model import sources
from ctai.model.loader import CleanModelLoader
from ctai.prompts import CompletionStylePrompts
from ctai.records import ContaminationReport, Example, Sampling, TrainingManifest
from ctai.registry import GATES
from ctai.rundir import RunDir, new_folder, read_jsonl, read_record, write_json
from tests.support import reported
from tests.support.generated import provenance
from tests.support.gguf_file import write_gguf

pytestmark = pytest.mark.unit

HOSTILE = "</td>|x|\x1b[2J \u202e ``` \n---\n# <script>alert(1)</script>\x00 ![x](http://x/y)"
TRAINED = {"end_of_text_id": 0, "rank": 16, "control": "none"}


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("shared") / "an export"
    assert main(["export", str(finished), "--to", str(target)]) == 0
    return target


def shared(rundir: RunDir) -> FinishedRun:
    """A reported run as what is exported, without the check of its evidence, which its made-up numbers would not pass."""
    verdicts = {gate.name: verdict for gate in GATES if (verdict := read_verdict(rundir, gate))}
    last = verdicts["evaluation"]
    manifest = rundir.relative(rundir.adapter_dir / "training_manifest.json")
    training = read_record(rundir.path(manifest), TrainingManifest)
    write_json(rundir.path(manifest), training.model_copy(update={"hyperparameters": TRAINED}))
    own = {"supervised_tokens": manifest, "content_lift": "results/sft_eval/evaluation.json"}
    metrics = tuple(m.model_copy(update={"artifact": own.get(m.name, m.artifact)}) for m in last.metrics)
    verdicts["evaluation"] = last.model_copy(update={"metrics": metrics})
    rundir.adapter_dir.joinpath("adapter_model.safetensors").write_bytes(b"weights")
    rundir.evidence.joinpath("attestations.intoto.jsonl").write_bytes(b"{}\n")
    examination = read_record(rundir.path("evidence/contamination/model_check.json"), ContaminationReport)
    assert examination.provenance is not None
    return FinishedRun(rundir, verdicts, examination.provenance)


def body(card: Path) -> list[str]:
    """The lines of a card after its front matter."""
    return card.read_text().split("---\n", 2)[2].strip().splitlines()


# ------------------------------------------------------------------------------------------------------- what is there


def test_the_dataset_loads_as_it_was_trained_on_with_typed_columns(exported, finished, tmp_path):
    loaded = load_dataset(str(exported / "dataset"), cache_dir=str(tmp_path))
    assert list(loaded) == ["train"]
    train, examples = loaded["train"], read_jsonl(finished / "data" / "stage1_sft_data.jsonl", Example)
    assert train["instruction"] == [one.instruction for one in examples]
    assert train["prompt"] == [CompletionStylePrompts.zero_shot(one.instruction) for one in examples]
    assert train["completion"] == [CompletionStylePrompts.completion(one.response) for one in examples]
    types = {name: feature.dtype for name, feature in train.features.items()}
    assert {types[name] for name in ("seed", "shard", "item", "response_tokens")} == {"int64"}
    assert {types[name] for name in ("instruction_margin", "pair_margin", "temperature")} == {"float64"}
    assert types["git_dirty"] == "bool"
    assert train["seed"] == [one.metadata.seed for one in examples]


def test_the_test_set_is_apart_and_says_not_to_train_on_it(exported, finished, tmp_path):
    loaded = load_dataset(str(exported / "heldout"), cache_dir=str(tmp_path))
    assert list(loaded) == ["test"]
    heldout = [json.loads(line)["instruction"] for line in (finished / "data" / "heldout.jsonl").open()]
    assert loaded["test"]["instruction"] == heldout
    assert body(exported / "heldout" / "README.md")[0].startswith("> **Do not train on this.**")
    (canary,) = set(loaded["test"]["canary"])
    assert canary in (exported / "heldout" / "README.md").read_text()


def test_the_adapter_has_the_same_weights_and_names_its_base_and_revision(exported, finished):
    made, own = exported / "adapter", finished / "checkpoints" / "stage1_sft"
    assert (made / "adapter_model.safetensors").read_bytes() == (own / "adapter_model.safetensors").read_bytes()
    config, before = (json.loads((folder / "adapter_config.json").read_text()) for folder in (made, own))
    assert config == before | {"base_model_name_or_path": "someone/base", "revision": "abc123"}
    assert not (exported / "base").exists()
    metadata = ModelCard.load(made / "README.md").data
    assert (metadata.base_model, metadata.base_model_relation) == ("someone/base", "adapter")


def test_the_model_card_holds_the_evaluation_the_evidence_and_a_program(exported, finished):
    run = open_finished_run(finished, anyway=False)
    text = (exported / "adapter" / "README.md").read_text()
    overall = run.summary.overall
    assert f"| content | {overall.n} | {overall.base.value:.3f} [" in text
    assert all(f"| content, {kind} |" in text for kind in run.summary.by_type)
    for name in (verdict_path(run.rundir, GATES[-1]), "evidence/attestations.intoto.jsonl"):
        assert hashlib.sha256((finished / name).read_bytes()).hexdigest() in text
    program = text.split("```python\n")[1].split("```")[0]
    compile(program, "card", "exec")
    assert 'AutoPeftModelForCausalLM.from_pretrained("adapter"' in program


def test_the_evidence_can_be_checked_where_it_lies(exported, capsys):
    assert main(["verify", str(exported / "run")]) == 0, capsys.readouterr().out
    assert (exported / "evidence" / "report.html").read_text().lower().startswith("<!doctype html>")
    lines = (exported / "SHA256SUMS").read_text().splitlines()
    stated = dict(reversed(line.split("  ", 1)) for line in lines)
    files = {
        p.relative_to(exported).as_posix(): p for p in exported.rglob("*") if p.is_file() and p.name != "SHA256SUMS"
    }
    assert stated == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert {
        "evaluation/evaluation.json",
        "evaluation/sft_items.jsonl",
        "evaluation/base_few_shot_items.jsonl",
    } <= stated.keys()


def test_no_path_and_no_host_of_this_machine_is_in_it(exported, finished):
    for path in exported.rglob("*"):
        if path.is_file() and path.suffix in (".md", ".json", ".jsonl", ".txt", ".html"):
            assert str(finished.parent) not in path.read_text(), path


# ----------------------------------------------------------------------------------------------------------- refusals


def refused(run_dir: Path, target: Path, **options: bool) -> str:
    """The sentence of the refusal; nothing may be left behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    before = sorted(target.parent.rglob("*"))
    with pytest.raises(CtaiError) as raised:
        export_run(run_dir, target, **{"merge": False, "anyway": False, "large": False, **options})
    assert sorted(target.parent.rglob("*")) == before
    return str(raised.value)


def test_a_run_that_is_not_finished_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / verdict_path(RunDir(tmp_path / "run"), GATES[-1])).unlink()
    assert "holds no finished run: there is no verdict of gate evaluation" in refused(
        tmp_path / "run", tmp_path / "to" / "x"
    )


def test_a_run_that_has_not_passed_is_refused_unless_asked_for(tmp_path):
    rundir = reported.finished_run(tmp_path / "run", failed="evaluation")
    sentence = refused(rundir.root, tmp_path / "to" / "x")
    assert "gate evaluation" in sentence
    assert "has not passed (supervised_tokens 0.2 >= 0.05)" in sentence
    assert "--anyway" in sentence
    assert "its evidence does not verify" in refused(rundir.root, tmp_path / "to" / "x", anyway=True)


def test_evidence_that_does_not_hold_is_never_exported(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "results" / "sft_eval" / "sft_items.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"content":false', b'"content":true', 1))
    sentence = refused(tmp_path / "run", tmp_path / "to" / "x", anyway=True)
    assert "its evidence does not verify: results/sft_eval/sft_items.jsonl: changed" in sentence


def test_a_folder_that_is_not_empty_is_left_alone(finished, tmp_path, capsys):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine.txt").write_text("mine")
    assert main(["export", str(finished), "--to", str(tmp_path / "to")]) == 2
    assert "already exists and is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, OSError])
def test_nothing_half_made_is_left_after_an_interruption(tmp_path, problem):
    def interrupted() -> None:
        with new_folder(tmp_path / "a" / "new") as folder:
            (folder / "half").write_text("half")
            raise problem

    with pytest.raises(problem):
        interrupted()
    assert list((tmp_path / "a").iterdir()) == []


# --------------------------------------------------------------------------------------------------------------- base


def with_model(run: FinishedRun, folder: Path, digest: str) -> FinishedRun:
    """The run as if it had been made on a model in a folder of this machine."""
    last = run.verdict
    config = {**last.config, "model": {**last.config["model"], "name": str(folder)}}
    verdicts = {**run.verdicts, "evaluation": last.model_copy(update={"config": config})}
    return FinishedRun(run.rundir, verdicts, provenance(model_id=folder.name, weights_digest=digest))


@pytest.fixture
def on_tiny(tmp_path, tiny_model_folder) -> FinishedRun:
    run = shared(reported.finished_run(tmp_path / "run"))
    return with_model(run, tiny_model_folder, sources.weights_digest(sources.resolve_model(str(tiny_model_folder))))


def test_a_local_base_comes_along_under_a_name_that_is_no_hub_id(on_tiny, tiny_model_folder, tmp_path):
    (tiny_model_folder / "secret.py").write_text("not the model's")
    base = write_base(on_tiny, tmp_path / "out" / "base", 1e9)
    write_adapter(on_tiny, base, tmp_path / "out" / "adapter")
    names = {path.name for path in (tmp_path / "out" / "base").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert "secret.py" not in names
    config = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (BASE, None)


def test_a_gguf_base_becomes_a_folder_that_peft_can_load(on_tiny, tiny_model_folder, tmp_path):
    file = write_gguf(tiny_model_folder, tmp_path / "model" / "base.gguf")
    run = with_model(on_tiny, file, sources.weights_digest(sources.resolve_model(str(file))))
    base = write_base(run, tmp_path / "base", 1e9)
    assert (base.name, base.is_included) == (BASE, True)
    assert "a GGUF file, as float32" in base.note
    prompts, sampling = ["The capital of France", "Name two"], Sampling(max_new_tokens=8)
    made, own = (
        CleanModelLoader(str(path)).load(sentinels=False).engine.generate(prompts, sampling)
        for path in (tmp_path / "base", file)
    )
    assert made == own
    assert not list((tmp_path / "base").glob("*.gguf"))


def test_a_large_base_is_left_out_and_the_card_says_what_to_do(on_tiny, tmp_path):
    base = write_base(on_tiny, tmp_path / "base", 10)
    assert not base.is_included
    assert not (tmp_path / "base").exists()
    write_adapter(on_tiny, base, tmp_path / "adapter")
    assert (
        f"put it into `base/`; SHA-256 of its weights `{on_tiny.provenance.weights_digest}`"
        in (tmp_path / "adapter" / "README.md").read_text()
    )


def test_a_base_that_is_another_one_now_is_refused(on_tiny, tiny_model_folder, tmp_path):
    with pytest.raises(PreconditionError, match="have changed since the run"):
        write_base(with_model(on_tiny, tiny_model_folder, "0" * 64), tmp_path / "base", 1e9)


# -------------------------------------------------------------------------------------------------------------- cards


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (
            {"outcome": "failed", "reasons": ("content_lift 0 <= 0",)},
            "> **Gate evaluation has not passed: content",
        ),
        (
            {"relaxed_thresholds": ("qc.truncated = 0.5 (default 0.02)",)},
            "> **Relaxed threshold: qc.truncated = 0.5 (default 0.02).**",
        ),
        ({"config": {**reported.CONFIG.model_dump(mode="json"), "control": "shuffled"}}, "> **This is a control run"),
    ],
)
def test_what_must_be_known_is_the_first_line_of_every_card(tmp_path, update, words):
    run = shared(reported.finished_run(tmp_path / "run"))
    last = run.verdict.model_copy(update=update)
    run = FinishedRun(run.rundir, {**run.verdicts, "evaluation": last}, run.provenance)
    write_dataset(run, tmp_path / "dataset")
    write_adapter(run, BaseDescription("someone/base", "abc", "on the hub", is_included=False), tmp_path / "adapter")
    assert body(tmp_path / "dataset" / "README.md")[0].startswith(words)
    assert body(tmp_path / "adapter" / "README.md")[0].startswith(words)


def test_the_front_matter_names_license_files_and_results(tmp_path):
    run = shared(reported.finished_run(tmp_path / "run"))
    write_dataset(run, tmp_path / "dataset")
    write_adapter(run, BaseDescription(BASE, None, "in `base/`", is_included=True), tmp_path / "adapter")
    dataset = DatasetCard.load(tmp_path / "dataset" / "README.md").data.to_dict()
    assert dataset["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "train.jsonl"}]}]
    assert (dataset["license"], dataset["license_name"], dataset["language"]) == ("other", "not-chosen", ["en"])
    assert (dataset["size_categories"], dataset["task_categories"]) == (["n<1K"], ["text-generation"])
    assert dataset["tags"] == ["synthetic", "self-generated", "instruction-tuning"]
    model = ModelCard.load(tmp_path / "adapter" / "README.md").data
    assert (model.library_name, model.pipeline_tag, model.license_name) == ("peft", "text-generation", "not-chosen")
    assert "base_model" not in model.to_dict()  # not on the hub
    results = {result.metric_name: result.metric_value for result in model.eval_results}
    assert results == {
        "content success": run.summary.overall.sft.value,
        "strict success": run.summary.overall_strict.sft.value,
    }


def test_the_dataset_card_has_the_purity_of_the_pairs(tmp_path):
    export_run_parts = shared(reported.finished_run(tmp_path / "run"))
    write_dataset(export_run_parts, tmp_path / "dataset")
    text = (tmp_path / "dataset" / "README.md").read_text()
    assert "## Purity" in text
    assert "| kept | 0 of 0 | unknown |" in text
    assert "29 kept pairs have an instruction that no family parses; their purity is unknown." in text


def test_hostile_text_is_data_in_the_files_and_harmless_in_the_cards(tmp_path):
    run = shared(reported.finished_run(tmp_path / "run", lambda text: f"{text} {HOSTILE}"))
    write_dataset(run, tmp_path / "dataset")
    write_heldout(run, tmp_path / "heldout")
    write_adapter(
        run, BaseDescription(BASE, None, escape_inline(run.provenance.model_id), is_included=True), tmp_path / "adapter"
    )
    train = load_dataset(str(tmp_path / "dataset"), split="train", cache_dir=str(tmp_path / "cache"))
    assert train["response"] == [one.response for one in run.examples]
    assert HOSTILE in train["response"][0]
    assert "<script>" in DatasetCard.load(tmp_path / "dataset" / "README.md").data.pretty_name
    assert "<script>" in ModelCard.load(tmp_path / "adapter" / "README.md").data.model_name
    for card in tmp_path.glob("*/README.md"):
        text = card.read_text()
        assert text.replace("\n", "").isprintable(), card
        outside = outside_of_blocks(body(card))
        assert re.findall(r"(?<!\\)[<!]", outside) == [], card
        rows = [line for line in outside.splitlines() if line.startswith("|")]
        assert all(len(line.replace("\\|", "").split("|")) in (4, 5, 8) for line in rows)


def outside_of_blocks(lines: list[str]) -> str:
    """The lines of Markdown that are not in a block of code."""
    fence, kept = "", []
    for line in lines:
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if not fence and len(ticks) >= 3:
            fence = ticks
        elif fence and line == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    assert not fence, "a block does not end"
    return "\n".join(kept)


def test_a_block_cannot_be_left():
    lines = code_block("```\n````\n# out")
    assert outside_of_blocks(lines) == ""
