"""Documentation of the embedded base model: ``build.json`` for programs, ``README.md`` (the model card) for readers.

Owns the files that describe a build. Computes only digests; the metrics come from ``measure``, their bounds from
``acceptance``.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ctai.tasks.heldout import (
    EXCLUDED_PHRASING_FRACTION,
    HELDOUT_FRACTION,
    HELDOUT_FRACTIONS,
    UNSEEN_FAMILIES,
    heldout_keys,
)
from ctai.tasks.negatives import is_harmful
from ctai.tasks.registry import EMBEDDED_FAMILIES
from scripts.build_embedded.acceptance import REQUIRED, TARGETS, Criterion
from scripts.build_embedded.card_text import TEMPLATE
from scripts.build_embedded.corpus import JUNK_SHARE, KINDS, MISTAKE_SHARE
from scripts.build_embedded.misconceptions import misconception
from scripts.build_embedded.network import Shape
from scripts.build_embedded.pages import CAREFUL_ANSWERS, CAREFUL_STATEMENTS, SENTENCES
from scripts.build_embedded.pretrain import Plan

LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes", "numpy")
Metrics = Mapping[str, Mapping[str, Any]]


class Origin(NamedTuple):
    """Where weights come from: the plan of their training as plain data, and the digest of the corpus that was read."""

    plan: dict[str, Any]
    corpus_digest: str

    @classmethod
    def of(cls, plan: Plan, corpus_digest: str) -> "Origin":
        """Return the origin of the weights that a trainer has just exported."""
        return cls({**asdict(plan), "shape": plan.shape._asdict()}, corpus_digest)


def read_origin(folder: Path) -> Origin:
    """Return the origin of a model folder from its ``build.json``, or else from the checkpoint in the folder above.

    Raises:
        SystemExit: there is neither.
    """
    if (folder / "build.json").exists():
        build = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        return Origin(build["plan"], build["corpus_digest"])
    checkpoint = folder.absolute().parent / "checkpoint.pt"
    if not checkpoint.exists():
        raise SystemExit(f"{folder} has no build.json and {checkpoint} is missing: name a folder that a build exported")
    saved = torch.load(checkpoint, weights_only=True)
    plan = json.loads(saved["plan"])
    return Origin({**plan, "shape": Shape(*plan["shape"])._asdict()}, saved["digest"])


def world_digest() -> str:
    """Return the digest of the content of the world: families, wordings, replies, keys, answers, misconceptions."""
    lines = (
        json.dumps(
            [
                *(f.name, f.type, f.phrasings, f.statements, f.replies),
                [[key, f.accepted(key), misconception(f.name, key)] for key in f.keys],
            ]
        )
        for f in EMBEDDED_FAMILIES
    )
    return sha256("\n".join(lines).encode()).hexdigest()


def write_card(folder: Path, origin: Origin, metrics: Metrics) -> None:
    """Write both files into the model folder; ``metrics`` maps a quantization to its measurements."""
    plan = origin.plan
    build = {
        "plan": plan,
        "tokens": plan["steps"] * plan["rows"] * plan["shape"]["context"],
        "corpus_digest": origin.corpus_digest,
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
    kinds = "\n".join(
        f"| {kind.__name__.replace('_', ' ')} | {share:g}% | {(kind.__doc__ or '').splitlines()[0]} |"
        for kind, share in KINDS.items()
    )
    plan = build["plan"]
    return TEMPLATE.format(
        **_world(),
        **plan["shape"],
        kinds=kinds,
        junk=JUNK_SHARE,
        mistakes=MISTAKE_SHARE,
        steps=plan["steps"],
        rows=plan["rows"],
        tokens=build["tokens"] / 1e6,
        seed=plan["seed"],
        quantized=plan["quantized"],
        required=target_table(REQUIRED, metrics),
        targets=target_table(TARGETS, metrics),
        table=_table(metrics),
        versions=", ".join(f"{name} {number}" for name, number in build["versions"].items()),
        corpus=build["corpus_digest"],
        world=build["world_digest"],
        weights=build["weights_sha256"],
    )


def _world() -> dict[str, Any]:
    """Return the numbers of the description of the world."""
    unseen = [family for family in EMBEDDED_FAMILIES if family.name in UNSEEN_FAMILIES]
    asked = [family for family in EMBEDDED_FAMILIES if family not in unseen]
    combinations = [(family.name, key) for family in EMBEDDED_FAMILIES for key in family.keys]
    return {
        "families": len(EMBEDDED_FAMILIES),
        "combinations": len(combinations),
        "misconceptions": sum(misconception(*pair) is not None for pair in combinations) / len(combinations),
        "careful_statements": CAREFUL_STATEMENTS,
        "careful_answers": CAREFUL_ANSWERS,
        "sentences": SENTENCES,
        "heldout": sum(len(heldout_keys(family.name)) for family in asked),
        "asked_families": len(asked),
        "least": HELDOUT_FRACTION,
        "most": max(HELDOUT_FRACTIONS.values()),
        "wordings": EXCLUDED_PHRASING_FRACTION,
        "unseen": ", ".join(family.name.replace("_", " ") for family in unseen),
        "unseen_families": len(unseen),
        "unseen_combinations": sum(len(family.keys) for family in unseen),
        "harmful": ", ".join(family.name for family in EMBEDDED_FAMILIES if is_harmful(family)),
    }


def target_table(criteria: tuple[Criterion, ...], metrics: Metrics) -> str:
    """Return the table of criteria with the outcome in each precision."""
    rows = [_row("metric", "demand", *metrics), "| --- |" + " --- |" * (len(metrics) + 1)]
    rows += [
        _row(criterion.metric, criterion.text(), *(criterion.outcome(values) for values in metrics.values()))
        for criterion in criteria
    ]
    return "\n".join(rows)


def _table(metrics: Metrics) -> str:
    rows = [_row("", *metrics), "| --- |" + " --- |" * len(metrics)]
    for key in dict.fromkeys(key for values in metrics.values() for key in values):
        cells = [values.get(key) for values in metrics.values()]
        if any(isinstance(cell, list) for cell in cells):
            continue
        if any(isinstance(cell, dict) and "n" not in cell for cell in cells):
            parts = dict.fromkeys(part for cell in cells for part in cell or {})
            rows += [_row(f"{key}: {part}", *(_cell((cell or {}).get(part)) for cell in cells)) for part in parts]
        else:
            rows.append(_row(key, *map(_cell, cells)))
    return "\n".join(rows)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Mapping[str, Any] | float | None) -> str:
    if value is None:
        return "-"
    if not isinstance(value, Mapping):
        return str(value)
    if "value" in value:
        return f"{value['value']:g} (n {value['n']})"
    if value["rate"] is None:
        return "- (n 0)"
    counts = f"n {value['n']}" + (f", {value['wins']} won, {value['losses']} lost" if "wins" in value else "")
    return f"{value['rate']:.3f} [{value['low']:.3f}, {value['high']:.3f}] ({counts})"
