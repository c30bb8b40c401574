"""Workload of the benchmarks: prompts of ctai with mixed lengths of prompt and output."""

import random

from benchmarks.common import Subject
from ctai.prompts import LIST_STOP_STRINGS, STOP_STRINGS, CompletionStylePrompts, Pair
from ctai.records import Sampling
from ctai.tasks.heldout import corpus_phrasings
from ctai.tasks.registry import EMBEDDED_FAMILIES
from ctai.tasks.seeds import few_shot_examples, seed_instructions, seed_pairs

SAMPLING = Sampling(max_new_tokens=64, stop=(*STOP_STRINGS, *LIST_STOP_STRINGS))


def prompts(subject: Subject, count: int) -> list[str]:
    """Return prompts, half for responses after few-shot examples and half for instruction lists, in random order."""
    rng = random.Random("benchmark prompts")
    max_examples = 3 if subject.small else 6
    texts = []
    for number in range(count):
        if number % 2:
            examples = few_shot_examples(rng.randint(1, max_examples), rng)
            texts.append(CompletionStylePrompts.response_prompt(rng.choice(seed_pairs()).instruction, examples))
        else:
            instructions = rng.sample(seed_instructions(), rng.randint(2, 2 * max_examples))
            texts.append(CompletionStylePrompts.instruction_prompt(instructions))
    rng.shuffle(texts)
    return texts


def pairs(count: int) -> list[Pair]:
    """Return different instructions of all families with right answers."""
    rng = random.Random("benchmark pairs")
    by_instruction: dict[str, Pair] = {}
    while len(by_instruction) < count:
        family = rng.choice(EMBEDDED_FAMILIES)
        key = rng.choice(family.keys)
        if phrasings := corpus_phrasings(family.name, key):
            instruction = family.render(key, rng.choice(phrasings))
            by_instruction[instruction] = Pair(instruction, family.sample(key, rng))
    return list(by_instruction.values())
