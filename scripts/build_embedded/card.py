"""Documentation of the embedded base model: ``build.json`` for programs, ``README.md`` (the model card) for readers.

Owns the files that describe a build. Computes only digests; the metrics come from ``measure``.
"""

import json
import platform
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctai.tasks.heldout import HELDOUT_FRACTION, heldout_keys
from ctai.tasks.registry import EMBEDDED_FAMILIES
from scripts.build_embedded.corpus import JUNK_SHARE, KINDS, MISTAKE_SHARE
from scripts.build_embedded.pretrain import Plan

LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes", "numpy")
Metrics = Mapping[str, Mapping[str, Any]]


def world_digest() -> str:
    """Return the digest of the content of the world: families, wordings, keys, answers."""
    lines = (
        json.dumps([f.name, f.type, f.phrasings, f.statements, [[key, f.accepted(key)] for key in f.keys]])
        for f in EMBEDDED_FAMILIES
    )
    return sha256("\n".join(lines).encode()).hexdigest()


def write_card(folder: Path, plan: Plan, corpus_digest: str, metrics: Metrics) -> None:
    """Write both files into the model folder; ``metrics`` maps a quantization to its measurements."""
    build = {
        "plan": {**{k: v for k, v in vars(plan).items() if k != "shape"}, "shape": plan.shape._asdict()},
        "tokens": plan.steps * plan.rows * plan.shape.context,
        "corpus_digest": corpus_digest,
        "corpus_shares": {kind.__name__: share for kind, share in KINDS.items()},
        "world_digest": world_digest(),
        "weights_sha256": sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "tokenizer_sha256": sha256((folder / "tokenizer.json").read_bytes()).hexdigest(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "metrics": metrics,
    }
    (folder / "build.json").write_text(json.dumps(build, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(build, metrics), encoding="utf-8")


def _card(build: Mapping[str, Any], metrics: Metrics) -> str:
    combinations = sum(len(family.keys) for family in EMBEDDED_FAMILIES)
    heldout = sum(len(heldout_keys(family.name)) for family in EMBEDDED_FAMILIES)
    kinds = "\n".join(
        f"| {kind.__name__.replace('_', ' ')} | {share:g}% | {(kind.__doc__ or '').splitlines()[0]} |"
        for kind, share in KINDS.items()
    )
    plan, shape = build["plan"], build["plan"]["shape"]
    return _TEMPLATE.format(
        families=len(EMBEDDED_FAMILIES),
        combinations=combinations,
        heldout=heldout,
        fraction=HELDOUT_FRACTION,
        kinds=kinds,
        junk=JUNK_SHARE,
        mistakes=MISTAKE_SHARE,
        layers=shape["layers"],
        hidden=shape["hidden"],
        vocabulary=shape["vocabulary"],
        context=shape["context"],
        steps=plan["steps"],
        rows=plan["rows"],
        tokens=build["tokens"] / 1e6,
        seed=plan["seed"],
        quantized=plan["quantized"],
        table=_table(metrics),
        weak=_weaknesses(metrics["nf4"]),
        versions=", ".join(f"{name} {number}" for name, number in build["versions"].items()),
        corpus=build["corpus_digest"],
        world=build["world_digest"],
        weights=build["weights_sha256"],
    )


def _table(metrics: Metrics) -> str:
    names = list(metrics)
    rows = [f"| | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for key in metrics[names[0]]:
        cells = [metrics[name][key] for name in names]
        if isinstance(cells[0], list):
            continue
        if isinstance(cells[0], dict) and cells[0] and "rate" not in cells[0]:
            rows += _sub_rows(key, cells)
            continue
        rows.append(f"| {key} | {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows)


def _weaknesses(metrics: Mapping[str, Any]) -> str:
    """Summarize the weaknesses of the model in words."""
    return (
        "Without examples the model already answers many instructions: content "
        f"{metrics['zero-shot content, seen']['rate']:.2f} for seen and "
        f"{metrics['zero-shot content, held-out']['rate']:.2f} for held-out combinations (target: below 0.45 and "
        "0.30), and never stops by itself; training starts from this headroom. Of the instructions it writes "
        f"{metrics['instructions well-formed']['rate']:.2f} are well-formed (target: 0.85); the others are vague, "
        "truncated or of the wrong kind, for the filters to remove."
    )


def _sub_rows(key: str, cells: list[Mapping[str, Any]]) -> list[str]:
    parts = list(dict.fromkeys(part for cell in cells for part in cell))
    return [f"| {key}: {part} | {' | '.join(_cell(cell.get(part, 0)) for cell in cells)} |" for part in parts]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['rate']:.3f} [{value['low']:.3f}, {value['high']:.3f}] (n {value['n']})" if value else "-"
    return str(value)


_TEMPLATE = """\
# The embedded base model of ctai

A decoder-only base model (Llama architecture, {layers} layers, width {hidden}, vocabulary {vocabulary}, context
{context}), pretrained from scratch by `python -m scripts.build_embedded` on a synthetic corpus of a small closed world.
It is a *model organism*: a real base model with real pretraining and a completely known world, so that every
instrument of ctai can be checked against ground truth, offline, in minutes. Results on it do not replace results on
a full-size model.

**World.** {families} families, {combinations} combinations of family and key, of which {heldout} ({fraction:.0%} of
each family) are held out: they occur as facts, in tables and in graded *statements*, but never as an instruction, with
or without a graded response. About a third of the wordings of the other combinations never occurs. Bad instructions
are made from all combinations: the corpus also holds truncated and shuffled pieces of held-out instructions, in lists
and labelled B.

**Corpus** (shares are of documents drawn; {junk:.0%} of listed instructions are bad on purpose, {mistakes:.0%} of
the answers in the clean answer style are wrong). Loss weights: 8 for tokens of labels, 2 for correct answers, 0 for
bad answers in graded documents.

| kind | share | content |
| --- | --- | --- |
{kinds}

**Training.** {steps} steps of {rows} rows of {context} tokens ({tokens:.1f} million tokens), seed {seed}, Muon and
AdamW; in the last {quantized:.0%} of the steps the matrices are rounded to NF4 in the forward pass, so that 4-bit
loading loses little accuracy. Chat-control tokens are in the vocabulary but not in the corpus. A rebuild gives the same
corpus digest; weights may differ in rounding between machines, so check a rebuild by its metrics.
The shipped build took 45 minutes on two shared CPU cores; a step takes about 0.8 s when both are free.

## Measurements

Greedy decoding unless noted, prompt formats of `ctai.prompts`, examples of `ctai.tasks.seeds`, Wilson 95% intervals.
Responses are scored by content: the answer up to the first stop rule. Instructions are sampled at T = 1, top_p 0.95.
"Accepted" means label A with a margin of at least 1. Faulty probes are not in the corpus verbatim; good probes of seen
combinations may be, labelled A.

{weak}

{table}

Corpus digest `{corpus}`, world digest `{world}`, weights SHA-256 `{weights}`.
Built with {versions}.
"""
