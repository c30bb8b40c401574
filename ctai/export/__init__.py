"""Export of a finished run to one folder that loads with `datasets`, `peft` and a browser.

`export_run` does not change the run directory and refuses a run whose evidence does not hold.
"""

from pathlib import Path

from ctai.evidence.attestation import BUNDLE, covered_files, is_signed
from ctai.export.adapter import BaseDescription, write_adapter, write_base
from ctai.export.cards import escape_inline, markdown_table, warning_lines
from ctai.export.dataset import write_dataset, write_heldout
from ctai.export.finished_run import FinishedRun, open_finished_run
from ctai.report.render import render_report
from ctai.rundir import copy_file, new_folder, sha256_file, write_text
from ctai.rundir.reader import RunReader

__all__ = ["export_run"]

LIMIT_BYTES = 2e9
"""Maximum size in bytes of a base model or run directory that is copied without `large`."""

CHECKSUMS = "SHA256SUMS"


def export_run(run_dir: Path, target: Path, *, merge: bool, anyway: bool, large: bool) -> list[str]:
    """Export a finished run to a new folder and return notes for the user.

    Args:
        run_dir: run directory.
        target: folder that does not exist or is empty.
        merge: also write a full model with the adapter merged in.
        anyway: export even if the last gate has not passed; every card then starts with a warning.
        large: also copy a base model or run directory of more than 2 GB.

    Raises:
        CtaiError: the run may not be exported, the target is not empty, or the disk is full or not writable.
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

            merged = write_merged(run, folder / "merged")
            count, total = merged.identical.k, merged.identical.n
            notes.append(f"merged in {merged.dtype}: {count} of {total} answers are identical to the recorded ones")
        _write_evaluation(run, folder / "evaluation")
        _write_evidence(run, folder / "evidence")
        includes_run = _copy_run(run, folder / "run", limit)
        if base.name.startswith(".") and not base.is_included:
            notes.append("the base model is larger than 2 GB and was not copied. Use --large to copy it")
        if not includes_run:
            notes.append("the run directory is larger than 2 GB and was not copied. Use --large to copy it")
        write_text(folder / "README.md", "\n".join(_guide(run, base, merge=merge, includes_run=includes_run)))
        _write_checksums(folder)
    return [*notes, *run.warnings]


def _write_evaluation(run: FinishedRun, folder: Path) -> None:
    """Write the comparison and every answer of every arm."""
    for name in ("evaluation.json", "summary.txt", "base_items.jsonl", "sft_items.jsonl"):
        copy_file(run.results / name, folder / name)
    for path in sorted(run.rundir.path("results", "headroom").glob("*/items.jsonl")):
        if path.parent.name != "base":  # copied above as base_items.jsonl
            copy_file(path, folder / f"{path.parent.name}_items.jsonl")


def _write_evidence(run: FinishedRun, folder: Path) -> None:
    """Copy the evidence unchanged, and write the report anew."""
    for path in sorted(run.rundir.evidence.rglob("*")):
        if path.is_file():
            copy_file(path, folder / path.relative_to(run.rundir.evidence))
    write_text(folder / "report.html", render_report(RunReader(run.rundir)))


def _copy_run(run: FinishedRun, folder: Path, limit: float) -> bool:
    """Copy the files that the evidence covers, for `ctai verify`; return false if they exceed the limit in bytes."""
    names = [*covered_files(run.rundir), BUNDLE]
    if sum(run.rundir.path(name).stat().st_size for name in names) > limit:
        return False
    for name in names:
        copy_file(run.rundir.path(name), folder / name)
    return True


def _write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file in the format of `sha256sum -c`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_text(folder / CHECKSUMS, "".join(lines))


def _guide(run: FinishedRun, base: BaseDescription, *, merge: bool, includes_run: bool) -> list[str]:
    signed = is_signed(run.rundir)
    commit = run.examples[0].metadata.git_commit if run.examples else "unknown"
    parts = [
        ("`dataset/`", f"{len(run.examples):,} training pairs: `load_dataset('dataset')`"),
        ("`heldout/`", f"{len(run.heldout):,} test instructions: do not train on them"),
        ("`adapter/`", "the LoRA adapter: `AutoPeftModelForCausalLM.from_pretrained('adapter')`"),
        *([("`base/`", "the base model of the adapter")] if base.is_included else []),
        *(
            [("`merged/`", "base with the adapter merged in: `AutoModelForCausalLM.from_pretrained('merged')`")]
            if merge
            else []
        ),
        ("`evaluation/`", "the comparison with the base (`evaluation.json`, `summary.txt`) and every answer (JSONL)"),
        ("`evidence/`", "`report.html`; verdicts, JUnit report, calibrations, attestations of every file"),
        *([("`run/`", "the run directory, for `ctai verify`")] if includes_run else []),
        (f"`{CHECKSUMS}`", "SHA-256 of every file"),
    ]
    return [
        *warning_lines(run.warnings),
        f"# Export of run {escape_inline(run.training.run_id)} on {escape_inline(run.provenance.model_id)}",
        "",
        *markdown_table(("path", "content"), parts),
        f"Base model: {base.note}. Run the commands of the cards in this folder.",
        "",
        "## Verification",
        "",
        *_verification(commit, signed=signed, includes_run=includes_run),
    ]


def _verification(commit: str, *, signed: bool, includes_run: bool) -> list[str]:
    """Return the commands that check the export, with explanations."""
    key = " --public-key KEY.pem" if signed else ""
    lines = [
        f"    sha256sum -c --quiet {CHECKSUMS}",
        *(
            [f'    pip install "ctai[sign] @ git+REPOSITORY@{escape_inline(commit)}"', f"    ctai verify run{key}"]
            if includes_run
            else []
        ),
        "",
        "The first command detects transfer errors only: anyone who changes a file can change its checksum too.",
    ]
    if includes_run:
        lines += [
            "`ctai verify` recomputes every number of the evidence from the raw records in `run/`, without the model.",
            "`adapter/adapter_model.safetensors` is identical to the file below `run/checkpoints/`; its configuration differs in",
            "the name of the base. `dataset/` and `heldout/` hold the records of `run/data/` in other columns.",
        ]
    else:
        lines += [
            "The run directory was too large to include. `evidence/` holds the measurements and attests the digest of every file",
            "of the run; to recompute the numbers, ask for the run directory.",
        ]
    if signed:
        lines += [
            "The evidence is signed: get the public key from the signer through another channel than this folder."
        ]
    else:
        lines += ["The evidence is not signed, so its author is not proven."]
    return [*lines, ""]
