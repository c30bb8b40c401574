"""Sharing a run with somebody who has only `datasets`, `peft` and a browser: one folder with all that it made.

`export_run` collects; it changes nothing in the run directory and exports no evidence that does not hold.
"""

from pathlib import Path

from ctai.evidence.attestation import BUNDLE, covered_files, is_signed
from ctai.export.adapter import BaseDescription, write_adapter, write_base
from ctai.export.cards import said, table, warned
from ctai.export.dataset import write_dataset, write_heldout
from ctai.export.source import FinishedRun, open_finished_run
from ctai.report.page import render
from ctai.report.source import RunReader
from ctai.rundir import copy_file, new_folder, sha256_file, write_text

__all__ = ["export_run"]

LIMIT_BYTES = 2e9
"""A base model or a run directory of more than this is left out unless it is asked for."""

SUMS = "SHA256SUMS"


def export_run(run_dir: Path, target: Path, *, merge: bool, anyway: bool, large: bool) -> list[str]:
    """Write all of a finished run that others can use into a new folder; returns what is to be said about it.

    Args:
        run_dir: the run directory.
        target: a folder that does not exist, or an empty one.
        merge: also write a full model with the adapter merged in.
        anyway: also if the last gate has not passed; every card then says so first.
        large: also copy a base model or a run directory of more than 2 GB.

    Raises:
        CtaiError: the run may not be exported, the folder is not free, or the disk does not allow it.
    """
    limit = float("inf") if large else LIMIT_BYTES
    with new_folder(target) as folder:
        run = open_finished_run(run_dir, anyway=anyway)
        write_dataset(run, folder / "dataset")
        write_heldout(run, folder / "heldout")
        base = write_base(run, folder / "base", limit)
        write_adapter(run, base, folder / "adapter")
        notes = []
        if merge:
            from ctai.export.merged import write_merged

            made = write_merged(run, folder / "merged")
            notes.append(f"merged in {made.dtype}: {made.equal.k} of {made.equal.n} answers are as recorded")
        _write_evaluation(run, folder / "evaluation")
        _write_evidence(run, folder / "evidence")
        has_run = _copy_run(run, folder / "run", limit)
        if base.name.startswith(".") and not base.is_here:
            notes.append("the base model is larger than 2 GB and was left out; --large copies it")
        if not has_run:
            notes.append("the run directory is larger than 2 GB and was left out; --large copies it")
        write_text(folder / "README.md", "\n".join(_guide(run, base, merge=merge, has_run=has_run)))
        _write_sums(folder)
    return [*notes, *run.warnings]


def _write_evaluation(run: FinishedRun, folder: Path) -> None:
    """The comparison, and every answer of every arm."""
    for name in ("evaluation.json", "summary.txt", "base_items.jsonl", "sft_items.jsonl"):
        copy_file(run.results / name, folder / name)
    for path in sorted(run.rundir.path("results", "headroom").glob("*/items.jsonl")):
        if path.parent.name != "base":  # which is base_items.jsonl
            copy_file(path, folder / f"{path.parent.name}_items.jsonl")


def _write_evidence(run: FinishedRun, folder: Path) -> None:
    """The run's evidence as it is, and the report as a page of now."""
    for path in sorted(run.rundir.evidence.rglob("*")):
        if path.is_file():
            copy_file(path, folder / path.relative_to(run.rundir.evidence))
    write_text(folder / "report.html", render(RunReader(run.rundir)))


def _copy_run(run: FinishedRun, folder: Path, limit: float) -> bool:
    """Copy what the evidence speaks of, so that all of it can be checked; false if that is too much."""
    names = [*covered_files(run.rundir), BUNDLE]
    if sum(run.rundir.path(name).stat().st_size for name in names) > limit:
        return False
    for name in names:
        copy_file(run.rundir.path(name), folder / name)
    return True


def _write_sums(folder: Path) -> None:
    """The SHA-256 of every file, as `sha256sum -c` reads it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_text(folder / SUMS, "".join(lines))


def _guide(run: FinishedRun, base: BaseDescription, *, merge: bool, has_run: bool) -> list[str]:
    signed = is_signed(run.rundir)
    commit = run.examples[0].metadata.git_commit if run.examples else "unknown"
    parts = [
        ("`dataset/`", f"{len(run.examples):,} training pairs: `load_dataset('dataset')`"),
        ("`heldout/`", f"{len(run.heldout):,} test instructions: not to be trained on"),
        ("`adapter/`", "the LoRA adapter: `AutoPeftModelForCausalLM.from_pretrained('adapter')`"),
        *([("`base/`", "the base model that the adapter belongs to")] if base.is_here else []),
        *(
            [("`merged/`", "base and adapter in one: `AutoModelForCausalLM.from_pretrained('merged')`")]
            if merge
            else []
        ),
        ("`evaluation/`", "the comparison with the base (`evaluation.json`, `summary.txt`) and every answer (JSONL)"),
        ("`evidence/`", "`report.html` for a browser; verdicts, JUnit report, calibrations, statements on every file"),
        *([("`run/`", "the run directory, for `ctai verify`")] if has_run else []),
        (f"`{SUMS}`", "the digest of every file here"),
    ]
    return [
        *warned(run.warnings),
        f"# What run {said(run.training.run_id)} made of {said(run.provenance.model_id)}",
        "",
        *table(("part", "what"), parts),
        f"The base model: {base.note}. Commands of the cards are to be run in this folder, wherever it lies.",
        "",
        "## Checking it",
        "",
        *_checking(commit, signed=signed, has_run=has_run),
    ]


def _checking(commit: str, *, signed: bool, has_run: bool) -> list[str]:
    """What a receiver can do, and what it shows."""
    key = " --public-key KEY.pem" if signed else ""
    lines = [
        f"    sha256sum -c --quiet {SUMS}",
        *(
            [f'    pip install "ctai[sign] @ git+REPOSITORY@{said(commit)}"', f"    ctai verify run{key}"]
            if has_run
            else []
        ),
        "",
        "The first shows that nothing was lost on the way: whoever changes a file can change its line too.",
    ]
    if has_run:
        lines += [
            "`ctai verify` computes every number of the evidence again from the raw records in `run/`, without the model.",
            "`adapter/adapter_model.safetensors` is byte for byte the one below `run/checkpoints/`; its configuration differs in",
            "how it calls the base. `dataset/` and `heldout/` hold the records of `run/data/` in other columns. The files",
            "`*.pt` are checkpoints of training: pickles, which nothing here has to load.",
        ]
    else:
        lines += [
            "The run directory was too large to come along. `evidence/` shows what was measured, and its statements name the",
            "digest of every file of the run; to have the numbers computed again, ask for the run directory.",
        ]
    if signed:
        lines += ["The evidence is signed: ask the signer for the public key by another way than this folder."]
    else:
        lines += ["The evidence is not signed, so nothing here shows who made it."]
    return [*lines, ""]
