"""Measurements of the embedded base model in the exact prompt formats of ctai, in NF4 and in float32.

Owns the metrics of the model card. Every rate has its counts; intervals are Wilson's 95%. Decoding is greedy unless noted.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ctai.prompts import DELIMITER, LABEL_GOOD, CompletionStylePrompts
from ctai.statistics import auroc, balanced_accuracy, rate
from ctai.tasks import base, probes, registry, seeds
from ctai.tasks.base import Family
from ctai.tasks.heldout import corpus_phrasings, is_heldout
from ctai.tasks.registry import EMBEDDED_FAMILIES
from scripts.build_embedded.tokenizer import IM_END, IM_START

Quantization = Literal["none", "nf4"]
MARGIN = 1.0
_BATCH = 100


def share(outcomes: Sequence[bool]) -> dict[str, float]:
    """Return the count, the number of outcomes, and the share with its 95% interval."""
    proportion = rate(sum(outcomes), len(outcomes))
    return {
        "count": proportion.k,
        "n": proportion.n,
        "rate": round(proportion.value, 4),
        "low": round(proportion.interval.low, 4),
        "high": round(proportion.interval.high, 4),
    }


@dataclass
class Subject:
    """Model to measure, with plain text as input and output."""

    folder: Path
    quantization: Quantization
    control_logps: list[float] = field(default_factory=list)

    @cached_property
    def tokenizer(self) -> Any:
        """Tokenizer, which pads on the left."""
        return AutoTokenizer.from_pretrained(self.folder, padding_side="left")

    @cached_property
    def model(self) -> Any:
        """Model, loaded in the precision of ctai."""
        config = None
        if self.quantization == "nf4":
            config = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.float32,
            )
        model = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32, quantization_config=config)
        return model.eval()

    def _batches(self, prompts: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(prompts), _BATCH):
            batch = list(prompts[start : start + _BATCH])
            yield self.tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)

    @torch.inference_mode()
    def complete(self, prompts: Sequence[str], tokens: int, temperature: float = 0.0) -> list[str]:
        """Return the continuation of every prompt; the end-of-text token stays in the text."""
        sampling = {"do_sample": True, "temperature": temperature, "top_p": 0.95, "top_k": 0} if temperature else {}
        texts: list[str] = []
        for batch in self._batches(prompts):
            out = self.model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                max_new_tokens=tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                **(sampling or {"do_sample": False}),
            )
            new = out[:, batch.input_ids.shape[1] :]
            texts += [text.replace(self.tokenizer.pad_token, "") for text in self.tokenizer.batch_decode(new)]
        return texts

    @torch.inference_mode()
    def label_logps(self, prompts: Sequence[str]) -> list[tuple[float, float]]:
        """Return the log-probability of each label, both spellings together, after every prompt."""
        ids = [[self.tokenizer.convert_tokens_to_ids(s) for s in (f"\u0120{label}", label)] for label in "AB"]
        control = self.tokenizer.convert_tokens_to_ids([IM_START, IM_END])
        pairs: list[tuple[float, float]] = []
        for batch in self._batches(prompts):
            positions = (batch.attention_mask.cumsum(-1) - 1).clamp_min(0)
            logits = self.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, position_ids=positions
            ).logits[:, -1]
            logps = logits.log_softmax(-1)
            self.control_logps += logps[:, control].amax(-1).tolist()
            a, b = (logps[:, spellings].logsumexp(-1).tolist() for spellings in ids)
            pairs += zip(a, b, strict=True)
        return pairs


class Item(NamedTuple):
    """Instruction about a combination of family and key."""

    family: Family
    key: str
    instruction: str


def draw_items(n: int, heldout: bool, rng: random.Random) -> list[Item]:
    """Draw different combinations, each in any wording, also those that are not in the corpus."""
    every = [(f, key) for f in EMBEDDED_FAMILIES for key in f.keys if is_heldout(f.name, key) == heldout]
    chosen = rng.sample(every, min(n, len(every)))
    return [Item(f, key, f.render(key, rng.randrange(len(f.phrasings)))) for f, key in chosen]


def measure_facts(subject: Subject, n: int, seed: int) -> dict[str, object]:
    """Measure the share of plain facts that are completed correctly."""
    items = probes.fact_probes(n, seed)
    texts = subject.complete([item.prompt for item in items], 10)
    by_name = registry.by_name
    right = [
        by_name(item.family).score(by_name(item.family).render(item.key, 0), text.split(".")[0].split("\n")[0]).content
        for item, text in zip(items, texts, strict=True)
    ]
    return {"facts completed": share(right)}


def measure_bare(subject: Subject, n: int, seed: int) -> dict[str, object]:
    """Measure how often a bare instruction is answered; the first line of the continuation is scored."""
    rng = random.Random(f"bare/{seed}")
    items = draw_items(n, False, rng)
    prompts = [item.instruction + ("\n" if at % 2 else "") for at, item in enumerate(items)]
    lines = [next(iter(text.strip().splitlines()), "") for text in subject.complete(prompts, 16)]
    answered = [i.family.score(i.instruction, line).content for i, line in zip(items, lines, strict=True)]
    return {"bare instructions answered": share(answered)}


def measure_instructions(subject: Subject, n: int, seed: int, temperature: float) -> dict[str, object]:
    """Measure form, variety and novelty of sampled instruction lists."""
    rng = random.Random(f"instructions/{seed}")
    torch.manual_seed(seed)
    prompts = [
        CompletionStylePrompts.instruction_prompt(rng.sample(seeds.seed_instructions(), 6)) for _ in range(n // 3)
    ]
    instructions: list[str] = []
    for text in subject.complete(prompts, 80, temperature):
        instructions += CompletionStylePrompts.parse_instructions(text, complete=False)[:4]
    instructions = instructions[:n]
    kinds = Counter(_novelty(text) for text in instructions)
    well_formed = [registry.parse(text) is not None for text in instructions]
    new = [_novelty(text) in ("wording not asked", "held-out key") for text in instructions if registry.parse(text)]
    normalized = [base.normalize_case_and_spacing(text) for text in instructions]
    return {
        "instructions well-formed": share(well_formed),
        "instructions distinct": share([text not in normalized[:at] for at, text in enumerate(normalized)]),
        "instructions new to the corpus": share(new),
        "instruction kinds": dict(kinds),
        "instruction samples": instructions[:12],
    }


def _novelty(text: str) -> str:
    parsed = registry.parse(text)
    if parsed is None:
        return "not of the world"
    family, key = registry.by_name(parsed[0]), parsed[1]
    if is_heldout(family.name, key):
        return "held-out key"
    phrasings = [family.render(key, phrasing) for phrasing in corpus_phrasings(family.name, key)]
    is_asked = base.normalize_case_and_spacing(text) in map(base.normalize_case_and_spacing, phrasings)
    return "asked in the corpus" if is_asked else "wording not asked"


def measure_responses(subject: Subject, n: int, seed: int) -> dict[str, object]:
    """Measure few-shot and zero-shot responses to seen and held-out combinations."""
    result: dict[str, object] = {}
    for name, heldout in (("seen", False), ("held-out", True)):
        rng = random.Random(f"responses/{seed}/{name}")
        items = draw_items(n, heldout, rng)
        few = [CompletionStylePrompts.response_prompt(i.instruction, seeds.few_shot_examples(3, rng)) for i in items]
        texts = subject.complete(few, 16)
        right = [i.family.score(i.instruction, text).content for i, text in zip(items, texts, strict=True)]
        ended = [DELIMITER in text for text, ok in zip(texts, right, strict=True) if ok]
        result[f"few-shot, {name}"] = share(right)
        result[f"few-shot right answers ended by the delimiter, {name}"] = share(ended)
        failed = Counter(i.family.name for i, ok in zip(items, right, strict=True) if not ok)
        result[f"few-shot failures by family, {name}"] = dict(failed.most_common(8))
        zero = subject.complete([CompletionStylePrompts.zero_shot(i.instruction) for i in items], 24)
        verdicts = [
            i.family.score(
                i.instruction,
                text.replace(subject.tokenizer.eos_token, ""),
                "eos" if subject.tokenizer.eos_token in text else "length",
            )
            for i, text in zip(items, zero, strict=True)
        ]
        result[f"zero-shot content, {name}"] = share([v.content for v in verdicts])
        result[f"zero-shot strict, {name}"] = share([v.strict for v in verdicts])
    return result


def _judge(
    subject: Subject,
    name: str,
    items: Sequence[probes.PairProbe | probes.InstructionProbe],
    prompts: Sequence[str],
) -> dict[str, object]:
    """Score labelled probes: balanced accuracy, AUC, and the share of each kind accepted at the margin."""
    differences = [a - b for a, b in subject.label_logps(prompts)]
    labels = [item.label == LABEL_GOOD for item in items]
    balanced = balanced_accuracy(labels, [difference > 0 for difference in differences])
    accepted: dict[str, list[bool]] = {}
    for item, difference in zip(items, differences, strict=True):
        accepted.setdefault(item.kind, []).append(difference >= MARGIN)
    interval = balanced.interval
    return {
        f"{name}: balanced accuracy": {
            "n": len(items),
            "rate": round(balanced.value, 4),
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
        },
        f"{name}: AUC": round(auroc(labels, differences).value, 4),
        f"{name}: accepted by kind": {kind: share(votes) for kind, votes in sorted(accepted.items())},
    }


def measure_critics(subject: Subject, n: int, seed: int) -> dict[str, object]:
    """Measure both critics on labelled probes, with the few-shot examples of the seeds."""
    result: dict[str, object] = {}
    for name, heldout in (("seen", False), ("held-out", True)):
        pairs = probes.pair_probes(n, seed, heldout)
        examples = seeds.pair_critic_examples()
        prompts = [CompletionStylePrompts.pair_critic(p.instruction, p.response, examples) for p in pairs]
        result |= _judge(subject, f"pair critic, {name}", pairs, prompts)
    graded = probes.instruction_probes(n, seed)
    worked = seeds.instruction_critic_examples()
    prompts = [CompletionStylePrompts.instruction_critic(p.instruction, worked) for p in graded]
    result |= _judge(subject, "instruction critic", graded, prompts)
    result["largest log-probability of a chat-control token"] = round(max(subject.control_logps), 2)
    return result


def measure(folder: Path, quantization: Quantization, n: int = 300, seed: int = 0) -> dict[str, object]:
    """Return all metrics of the model card for one precision."""
    subject = Subject(folder, quantization)
    parts: list[Callable[[], dict[str, object]]] = [
        lambda: measure_facts(subject, n, seed),
        lambda: measure_bare(subject, n, seed),
        lambda: measure_instructions(subject, n, seed, 1.0),
        lambda: measure_responses(subject, n, seed),
        lambda: measure_critics(subject, n, seed),
    ]
    result: dict[str, object] = {}
    for part in parts:
        result |= part()
    return result
