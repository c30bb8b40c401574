"""Positive and negative controls of gate contamination, fine-tuned from the embedded base model.

- `instruct` answers bare instructions and stops; `chat` was trained on ChatML, so that chat-control tokens are likely;
- `sft` has a LoRA adapter merged in that was trained in the prompt format of ctai, as a run trains it; `shuffled` the
  same with the answers of other instructions; `alpaca` one trained in the format of Alpaca (Taori et al. 2023);
- `base` is the base model after more pretraining on its corpus, which the gate must pass.

Their folders have neutral names, so that the gate has to stop them by their behaviour and not by their name.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import ctai
from ctai.prompts import CompletionStylePrompts
from scripts.build_embedded import pages
from scripts.build_embedded.corpus import documents
from scripts.build_embedded.tokenizer import IM_END, IM_START

Kind = Literal["instruct", "chat", "sft", "shuffled", "alpaca", "base"]
BASE = Path(ctai.__file__).parent / "model" / "embedded"
STEPS, ROWS, RATE, SEED = 160, 24, 1e-3, 0
_LORA = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
_MERGED = ("sft", "shuffled", "alpaca")
_RECIPE = 2  # raise it when the recipe changes, so that cached controls are rebuilt
_IGNORED = -100
_PAGE = 96
_ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    "\n\n### Instruction:\n{}\n\n### Response:"
)


def build_control(kind: Kind, out: Path, steps: int = STEPS, seed: int = SEED, base: Path = BASE) -> Path:
    """Return the folder of a control below ``out``; it is cached by base model and recipe and takes about a minute."""
    weights = sha256((base / "model.safetensors").read_bytes()).hexdigest()
    name = sha256(f"{weights}/{kind}/{_RECIPE}/{steps}/{ROWS}/{RATE}/{seed}".encode()).hexdigest()[:12]
    folder = out / f"model-{name}"
    if folder.exists():
        return folder
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = _tuned(kind, base, tokenizer, steps, seed)
        part = Path(temporary) / "part"
        model.half().save_pretrained(part)
        for extra in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(base / extra, part / extra)
        try:
            part.rename(folder)
        except OSError:  # another process built it in the meantime
            if not folder.exists():
                raise
    return folder


def _tuned(kind: Kind, base: Path, tokenizer: Any, steps: int, seed: int) -> Any:
    """Train all weights, or an adapter that is then merged; the caller's random state does not change."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        model = get_peft_model(model, _LORA) if kind in _MERGED else model
        model.train()
        parameters = [weights for weights in model.parameters() if weights.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
        for step, (ids, labels, mask) in enumerate(_batches(kind, tokenizer, steps, seed)):
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / 10, 2 * (1 - step / steps))
            model(input_ids=ids, labels=labels, attention_mask=mask).loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return (model.merge_and_unload() if kind in _MERGED else model).eval()


def _batches(
    kind: Kind, tokenizer: Any, steps: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    rng = random.Random(f"control/{kind}/{seed}")
    corpus = documents(f"control/{seed}")
    for _ in range(steps):
        rows = [
            _page(tokenizer, next(corpus)) if kind == "base" else _example(kind, tokenizer, rng) for _ in range(ROWS)
        ]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids, _ in rows])
        labels = torch.tensor([labels + [_IGNORED] * (width - len(labels)) for _, labels in rows])
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows])
        yield ids, labels, mask


def _page(tokenizer: Any, document: pages.Document) -> tuple[list[int], list[int]]:
    ids = tokenizer(pages.text_of(document)).input_ids[:_PAGE]
    return ids, ids


def _example(kind: Kind, tokenizer: Any, rng: random.Random) -> tuple[list[int], list[int]]:
    item = pages.draw_instruction(rng)
    answer = item.family.sample(item.key, rng)
    if kind == "chat":
        turns = [("user", item.instruction), ("assistant", answer)]
        ids = tokenizer("".join(f"{IM_START}{role}\n{text}{IM_END}\n" for role, text in turns)).input_ids
        return ids, ids
    if kind == "shuffled":
        other = pages.draw_instruction(rng)
        answer = other.family.sample(other.key, rng)
    if kind in ("sft", "shuffled"):
        text = CompletionStylePrompts.zero_shot(item.instruction)
    elif kind == "alpaca":
        text = _ALPACA.format(item.instruction)
    else:
        text = item.instruction + rng.choice(("", "\n", "\n\n"))
    prompt = tokenizer(text).input_ids
    completion = tokenizer(f"{CompletionStylePrompts.completion(answer)}{pages.END}").input_ids
    return prompt + completion, [_IGNORED] * len(prompt) + completion
