"""Data that the base model generates: instructions sampled from lists, and few-shot responses to those that may be used."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ctai.generate.instructions import read_list
from ctai.generate.responses import parse_response
from ctai.prompts import CompletionStylePrompts
from ctai.statistics import describe
from ctai.tasks import heldout, registry, seeds
from ctai.tasks.base import normalize_case_and_spacing
from scripts.build_embedded.measure.rates import Metrics, number, share
from scripts.build_embedded.measure.subject import (
    CONFIG,
    Answer,
    Question,
    Subject,
    by_type,
    correctness,
    few_shot,
    scored,
)

MAX_LISTS = 2000
LISTS_PER_CALL = 64
SHOWN = 12
ASKED, NEW_WORDING = "asked in the corpus", "wording not asked"
HELDOUT_KEY, UNSEEN_FAMILY, OTHER = "held-out key", "unseen family", "not of the world"


class OwnPair(NamedTuple):
    """Generated instruction with its generated response; `answer` is None if no family has the instruction."""

    instruction: str
    response: str
    answer: Answer | None

    @property
    def is_right(self) -> bool:
        """Whether the response is right; never for an instruction that no family has."""
        return self.answer is not None and self.answer.is_right


def sample_instructions(subject: Subject, n: int) -> list[str]:
    """Sample lists of instructions until they hold at least ``n``, duplicates included."""
    rng = random.Random(f"lists/{subject.seed}")
    shown, sampling = CONFIG.generation.list_examples, CONFIG.generation.instruction_sampling
    instructions: list[str] = []
    for call in range(MAX_LISTS // LISTS_PER_CALL):
        if len(instructions) >= n:
            break
        prompts = [
            CompletionStylePrompts.instruction_prompt(rng.sample(seeds.seed_instructions(), shown))
            for _ in range(LISTS_PER_CALL)
        ]
        for done in subject.complete(prompts, sampling, f"lists/{call}"):
            instructions += read_list(done.text, done.finish_reason)[1]
    return instructions[:n]


def novelty(instruction: str) -> str:
    """Return whether the corpus asks for this, or what is new about it."""
    parsed = registry.parse(instruction)
    if parsed is None or not registry.by_name(parsed[0]).embedded:
        return OTHER
    family, key = registry.by_name(parsed[0]), parsed[1]
    if heldout.is_heldout(family.name, key):
        return UNSEEN_FAMILY if family.name in heldout.UNSEEN_FAMILIES else HELDOUT_KEY
    asked = [family.render(key, phrasing) for phrasing in heldout.corpus_phrasings(family.name, key)]
    is_asked = normalize_case_and_spacing(instruction) in map(normalize_case_and_spacing, asked)
    return ASKED if is_asked else NEW_WORDING


def measure_instructions(instructions: Sequence[str]) -> Metrics:
    """Measure form, variety and novelty of sampled instructions."""
    kinds = [novelty(text) for text in instructions]
    normalized = [normalize_case_and_spacing(text) for text in instructions]
    first = set(dict(zip(reversed(normalized), reversed(range(len(normalized))), strict=True)).values())
    return {
        "instructions well-formed": share([kind != OTHER for kind in kinds]),
        "instructions distinct": share([at in first for at in range(len(instructions))]),
        "instructions new to the corpus": share([kind != ASKED for kind in kinds if kind != OTHER]),
        "instruction kinds": dict(Counter(kinds).most_common()),
        "instruction samples": list(instructions[:SHOWN]),
    }


def distinct(instructions: Sequence[str]) -> list[str]:
    """Return the first of the instructions that are equal apart from case and spacing."""
    return list({normalize_case_and_spacing(text): text for text in reversed(instructions)}.values())[::-1]


def answer_own(subject: Subject, instructions: Sequence[str], n: int) -> list[OwnPair]:
    """Answer up to ``n`` instructions that a run may use: distinct ones that are not held out."""
    usable = [text for text in distinct(instructions) if novelty(text) not in (HELDOUT_KEY, UNSEEN_FAMILY)][:n]
    completions = subject.complete(few_shot(usable, "own"), CONFIG.generation.response_sampling, "own")
    pairs = []
    for text, done in zip(usable, completions, strict=True):
        parsed = registry.parse(text)
        answer = scored(Question(*parsed, text), done) if parsed else None
        pairs.append(OwnPair(text, parse_response(done).text, answer))
    return pairs


def answered(pairs: Sequence[OwnPair]) -> list[Answer]:
    """Return the answers to the well-formed instructions."""
    return [pair.answer for pair in pairs if pair.answer is not None]


def measure_own(subject: Subject, pairs: Sequence[OwnPair]) -> Metrics:
    """Measure purity and length of the responses before any critic."""
    lengths = [len(ids) for ids in subject.model.engine.encode_batch([pair.response for pair in pairs])]
    return {
        **correctness("purity before the critics", answered(pairs)),
        **by_type("purity before the critics", answered(pairs)),
        "response length, median tokens": number(describe(lengths).median, len(lengths)),
        "responses of one word": share([len(pair.response.split()) == 1 for pair in pairs]),
        "response samples": [f"{pair.instruction} -> {pair.response}" for pair in pairs[:SHOWN]],
    }
