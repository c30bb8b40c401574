"""What the benchmarks ask of a model: the prompts of ctai itself, of mixed lengths, for outputs of mixed lengths."""

import random

from benchmarks.common import Subject
from ctai.prompts import LIST_STOP_STRINGS, STOP_STRINGS, CompletionStylePrompts, Pair
from ctai.records import Sampling
from ctai.tasks.heldout import corpus_phrasings
from ctai.tasks.registry import EMBEDDED_FAMILIES
from ctai.tasks.seeds import few_shot_examples, seed_instructions, seed_pairs

SAMPLING = Sampling(max_new_tokens=64, stop=(*STOP_STRINGS, *LIST_STOP_STRINGS))


def prompts(subject: Subject, count: int) -> list[str]:
    """Half answers after one to several examples, half lists that go on: short outputs beside long ones, shuffled."""
    rng = random.Random("benchmark prompts")
    most = 3 if subject.small else 6
    found = []
    for number in range(count):
        if number % 2:
            examples = few_shot_examples(rng.randint(1, most), rng)
            found.append(CompletionStylePrompts.response_prompt(rng.choice(seed_pairs()).instruction, examples))
        else:
            shown = rng.sample(seed_instructions(), rng.randint(2, 2 * most))
            found.append(CompletionStylePrompts.instruction_prompt(shown))
    rng.shuffle(found)
    return found


def pairs(count: int) -> list[Pair]:
    """Different instructions of all families with right answers."""
    rng = random.Random("benchmark pairs")
    found: dict[str, Pair] = {}
    while len(found) < count:
        family = rng.choice(EMBEDDED_FAMILIES)
        key = rng.choice(family.keys)
        if phrasings := corpus_phrasings(family.name, key):
            instruction = family.render(key, rng.choice(phrasings))
            found[instruction] = Pair(instruction, family.sample(key, rng))
    return list(found.values())
