"""Faulty model folders, made from the embedded model by means that a user has too."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

import ctai

EMBEDDED = Path(ctai.__file__).parent / "model" / "embedded"


def copied(folder: Path) -> Path:
    """Copy the embedded model to another folder, without its card and build record."""
    return Path(shutil.copytree(EMBEDDED, folder, ignore=shutil.ignore_patterns("README.md", "build.json")))


def merged(adapter: Path, folder: Path) -> Path:
    """Write the embedded model with an adapter merged into its weights."""
    copied(folder)
    base = AutoModelForCausalLM.from_pretrained(EMBEDDED, dtype=torch.float32)
    model: Any = PeftModel.from_pretrained(base, str(adapter))
    model.merge_and_unload().save_pretrained(folder)
    return folder


def blind_to_labels(folder: Path) -> Path:
    """Write the embedded model with the same embedding for A and B, so that its labels cannot differ."""
    copied(folder)
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED, dtype=torch.float32)
    rows = model.get_input_embeddings().weight.data
    for good, bad in (("A", "B"), (" A", " B")):
        (good_id,), (bad_id,) = tokenizer(good).input_ids, tokenizer(bad).input_ids
        rows[bad_id] = rows[good_id]
    model.save_pretrained(folder)
    return folder


def adds(token: str, folder: Path) -> Path:
    """Make the tokenizer in a folder add a token before every text, as its BOS token."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    number = next(added["id"] for added in tokenizer["added_tokens"] if added["content"] == token)
    special = {"SpecialToken": {"id": token, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [special, text],
        "pair": [special, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    settings.write_text(json.dumps({**content, "bos_token": token}), encoding="utf-8")
    return folder
