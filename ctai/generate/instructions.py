"""Generating instructions: prompts with rotating examples and topics, and the lists that come back.

Owns which examples a list prompt shows. Framing and parsing are `ctai.prompts`', what counts as new is `dedup`'s.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ctai.config import GenerationSettings
from ctai.model.protocols import TextEngine
from ctai.prompts import CompletionStylePrompts
from ctai.records import Completion, FinishReason, GeneratedList, Sampling
from ctai.tasks import registry, seeds

# How many usable instructions one list is expected to give: a round asks for `batch_size` instructions.
INSTRUCTIONS_A_LIST = 8
# One list in so many has a topic, with examples of that topic only.
TOPIC_EVERY = 4

SeedOf = Callable[..., int]


class ListPrompt(NamedTuple):
    """A prompt that ends inside a numbered list, and the seed of its completion."""

    prompt: str
    seed: int


class InstructionList(NamedTuple):
    """One completed list: what was asked, how many lines came back, and the instructions found in them."""

    asked: ListPrompt
    completion: Completion
    lines: int
    instructions: tuple[str, ...]

    def record(self) -> GeneratedList:
        """What was sent and what came back."""
        done = self.completion
        return GeneratedList(
            prompt=self.asked.prompt, seed=self.asked.seed, raw=done.raw, finish_reason=done.finish_reason
        )


def generate_instructions(
    engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, round_number: int, own: Sequence[str]
) -> list[InstructionList]:
    """Ask the model for new instructions.

    Args:
        engine: the model.
        settings: how many, and how to sample.
        seed_of: makes the seed of a thing from what names it within the shard.
        round_number: the round; other rounds show other examples.
        own: instructions that the shard has kept, which may be shown as examples too.
    """
    prompts = list_prompts(engine, settings, seed_of, round_number, own)
    completions = engine.generate([p.prompt for p in prompts], settings.instruction_sampling, [p.seed for p in prompts])
    answers = zip(prompts, completions, strict=True)
    return [InstructionList(prompt, done, *read_list(done.text, done.finish_reason)) for prompt, done in answers]


def list_prompts(
    engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, round_number: int, own: Sequence[str]
) -> list[ListPrompt]:
    """The prompts of one round, each with its own examples: as many as fit into the context beside the budget."""
    count = max(1, settings.batch_size // INSTRUCTIONS_A_LIST)
    prompts = []
    for index in range(count):
        rng = random.Random(seed_of("examples", round_number, index))
        topic = rng.choice(seeds.topics()) if index % TOPIC_EVERY == TOPIC_EVERY - 1 else None
        examples = _topic_examples(topic, settings, own, rng) if topic else _mixed_examples(settings, own, rng)
        prompt = _fitting_prompt(engine, settings, examples, topic)
        prompts.append(ListPrompt(prompt, seed_of("list", round_number, index)))
    return prompts


def _fitting_prompt(
    engine: TextEngine, settings: GenerationSettings, examples: Sequence[str], topic: str | None
) -> str:
    """The list with as many examples as fit, and at least one, which the engine then refuses if it is too long."""
    room = room_for_prompt(engine, settings.instruction_sampling)
    prompts = [
        CompletionStylePrompts.instruction_prompt(examples[:count], topic) for count in range(len(examples), 0, -1)
    ]
    return next((prompt for prompt in prompts if len(engine.encode(prompt)) <= room), prompts[-1])


def room_for_prompt(engine: TextEngine, sampling: Sampling) -> int:
    """How many tokens a prompt may have; one is left for a beginning-of-sequence token."""
    return engine.context_length - sampling.max_new_tokens - 1


def _mixed_examples(settings: GenerationSettings, own: Sequence[str], rng: random.Random) -> list[str]:
    """Seeds, and up to half of what the shard itself has made; no more seeds than there are."""
    of_own = rng.sample(list(own), min(len(own), settings.list_examples // 2))
    known = [text for text in seeds.seed_instructions() if text not in of_own]
    examples = of_own + rng.sample(known, min(len(known), settings.list_examples - len(of_own)))
    rng.shuffle(examples)
    return examples


def _topic_examples(topic: str, settings: GenerationSettings, own: Sequence[str], rng: random.Random) -> list[str]:
    """Seeds and own instructions of the topic; every topic has at least one seed."""
    known = dict.fromkeys((*seeds.seed_instructions(), *own))
    of_topic = [text for text in known if (found := registry.parse(text)) and _topic(found[0]) == topic]
    return rng.sample(of_topic, min(len(of_topic), settings.list_examples))


def _topic(family: str) -> str:
    return family.replace("_", " ")


def read_list(text: str, finish_reason: FinishReason) -> tuple[int, tuple[str, ...]]:
    """How many lines a list has that came back, and the instructions found in them."""
    lines = sum(bool(line.strip()) for line in text.splitlines())
    return lines, tuple(CompletionStylePrompts.parse_instructions(text, finish_reason != "length"))
