"""Contamination checks of tokenizers, names and files: special tokens, chat templates, tuned weights, adapters.

Owns the checks that need no inference. Does not load models (`ctai.model.loader`) or test their behaviour
(`ctai.model.checks.sentinels`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

Check = Literal[
    "weight_files", "names", "adapter_files", "attached_adapter", "special_tokens", "instruct_weights", "language_model"
]

# Various texts: tokenizers treat a leading space, a line end or an empty text differently.
_DELTA_TEXTS = ("The capital of France is", " a leading space", "Q: 2 + 2?\nA: 4\n\n", "x", "déjà vu — 日本", "")

_TUNED_WORDS = frozenset({"sft", "dpo", "rlhf", "orpo", "kto", "ppo", "grpo", "rl", "assistant", "instructed", "tuned"})
_INNOCENT_WORDS = frozenset({"instructor", "instructors", "instruction", "instructions", "instructional"})
_SIZE = re.compile(r"\d+(?:\.\d+)?[bmk]|[bmk]")


class Finding(NamedTuple):
    """Reason against the use of a model as a base model: name of the check and a message."""

    name: Check
    message: str


def special_token_delta(tokenizer: Any) -> int:
    """Return the maximum number of tokens by which `add_special_tokens` lengthens a text; 0 for a clean tokenizer."""
    with_special = tokenizer(list(_DELTA_TEXTS), add_special_tokens=True)["input_ids"]
    without = tokenizer(list(_DELTA_TEXTS), add_special_tokens=False)["input_ids"]
    return max(abs(len(a) - len(b)) for a, b in zip(with_special, without, strict=True))


def special_token_findings(tokenizer: Any, allow_bos: bool, control: Mapping[int, str]) -> list[Finding]:
    """Check the special tokens that a tokenizer adds.

    Args:
        tokenizer: tokenizer to check.
        allow_bos: accept one leading BOS token, unless it is a chat-control token.
        control: text of the chat-control tokens by id.
    """
    delta = special_token_delta(tokenizer)
    bos = tokenizer.bos_token_id
    if allow_bos and bos is None:
        return [Finding("special_tokens", "allow_bos is set, but the tokenizer has no beginning-of-sequence token")]
    if allow_bos and bos in control:
        message = f"the BOS token {control[bos]!r} (id {bos}) is a chat-control token, so allow_bos cannot allow it"
        return [Finding("special_tokens", message)]
    if delta == 0 or (allow_bos and _only_adds_bos(tokenizer)):
        return []
    return [
        Finding(
            "special_tokens",
            f"the tokenizer adds {delta} special token(s) to a text; when the model needs a BOS, allow it by name "
            "with allow_bos",
        )
    ]


def _only_adds_bos(tokenizer: Any) -> bool:
    text = _DELTA_TEXTS[0]
    plain = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return list(tokenizer(text, add_special_tokens=True)["input_ids"]) == [tokenizer.bos_token_id, *plain]


def name_findings(model_name: str, weight_files: Iterable[str]) -> list[Finding]:
    """Find names that indicate tuned weights.

    Args:
        model_name: hub id or path; owner and parent folders are ignored.
        weight_files: names of the weight files; other files (`chat_template.jinja`) say nothing about the weights.
    """
    base_name = re.split(r"[/\\]", model_name.rstrip("/\\"))[-1]
    tuned: dict[str, str] = {}
    for name in (base_name, *weight_files):
        for word in tuned_words(name):
            tuned.setdefault(name, word)
    return [
        Finding("names", f"the name {name!r} says {word!r}: these are not the weights of a base model")
        for name, word in tuned.items()
    ]


def tuned_words(name: str) -> list[str]:
    """Return the parts of a name that indicate instruction tuning, such as `Instruct`, `chat`, `it`, `sft` or `dpo`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", re.sub(r"\.(?:safetensors|gguf|bin|pt)$", "", name))
    words = [word for word in re.split(r"[^0-9A-Za-z.]+|\.(?!\d)", spaced.lower()) if word]
    return [
        word for index, word in enumerate(words) if _is_tuned(word, words[index - 1] if index else "", index, words)
    ]


def _is_tuned(word: str, before: str, index: int, words: Sequence[str]) -> bool:
    if word == "it":  # an English word otherwise: it counts at the end of a name or after a size, as in `9b-it`
        return index > 0 and (index == len(words) - 1 or _SIZE.fullmatch(before) is not None)
    stem = word.strip("0123456789.")
    affixes = any(stem.startswith(part) or stem.endswith(part) for part in ("instruct", "chat"))
    return stem in _TUNED_WORDS or (affixes and stem not in _INNOCENT_WORDS)


def file_findings(folder: Path, weight_files: Sequence[str]) -> list[Finding]:
    """Find adapter files beside the weights, and folders without safetensors or GGUF weights.

    Args:
        folder: folder of the weights.
        weight_files: names of the safetensors or GGUF files that would be loaded.
    """
    findings = []
    adapters = sorted(
        p.name for p in folder.iterdir() if p.name == "adapter_config.json" or p.name.startswith("adapter_model.")
    )
    if adapters:
        message = f"adapter files lie beside the base weights: {', '.join(adapters)}; move them to a separate folder"
        findings.append(Finding("adapter_files", message))
    if not weight_files:
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth"))
        message = f"no safetensors or GGUF weights in {folder.name}"
        if pickles:
            message += f": only pickled ones ({', '.join(pickles)}), which can run code and are not loaded"
        findings.append(Finding("weight_files", message))
    return findings
