"""Instruction generation: list prompts with rotating examples and topics, and the lists that come back.

Owns the choice of the examples in a list prompt. Does not own framing and parsing (`ctai.prompts`) or duplicates
(`ctai.generate.dedup`).
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ctai.config import GenerationSettings
from ctai.model.protocols import TextEngine
from ctai.prompts import CompletionStylePrompts
from ctai.records import Completion, FinishReason, GeneratedList, Sampling
from ctai.tasks import registry, seeds

# Usable instructions that one list is expected to give: a round requests `batch_size` instructions.
INSTRUCTIONS_PER_LIST = 8
# Every fourth list has a topic, and shows examples of that topic only.
TOPIC_EVERY = 4

SeedOf = Callable[..., int]


class ListPrompt(NamedTuple):
    """A prompt that ends inside a numbered list, and the seed of its completion."""

    prompt: str
    seed: int


class InstructionList(NamedTuple):
    """A completed list: its prompt, the completion, the number of lines, and the instructions parsed from them."""

    request: ListPrompt
    completion: Completion
    lines: int
    instructions: tuple[str, ...]

    def record(self) -> GeneratedList:
        """Return the record of the prompt and its completion."""
        request, completion = self.request, self.completion
        return GeneratedList(
            prompt=request.prompt, seed=request.seed, raw=completion.raw, finish_reason=completion.finish_reason
        )


def generate_instructions(
    engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, round_number: int, accepted: Sequence[str]
) -> list[InstructionList]:
    """Generate instructions with one list prompt per `INSTRUCTIONS_PER_LIST` of the batch size.

    Args:
        engine: the model.
        settings: batch size, examples per list, and sampling parameters.
        seed_of: derives a seed from the parts that name its use within the shard.
        round_number: the round; other rounds show other examples.
        accepted: instructions of the examples that the shard has accepted so far; they may be shown as examples too.
    """
    prompts = list_prompts(engine, settings, seed_of, round_number, accepted)
    completions = engine.generate([p.prompt for p in prompts], settings.instruction_sampling, [p.seed for p in prompts])
    return [
        InstructionList(prompt, completion, *read_list(completion.text, completion.finish_reason))
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def list_prompts(
    engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, round_number: int, accepted: Sequence[str]
) -> list[ListPrompt]:
    """Return the prompts of one round, each with as many examples as fit into the context beside the token budget."""
    count = max(1, settings.batch_size // INSTRUCTIONS_PER_LIST)
    prompts = []
    for index in range(count):
        rng = random.Random(seed_of("examples", round_number, index))
        topic = rng.choice(seeds.topics()) if index % TOPIC_EVERY == TOPIC_EVERY - 1 else None
        examples = (
            _topic_examples(topic, settings, accepted, rng) if topic else _mixed_examples(settings, accepted, rng)
        )
        prompt = _fitting_prompt(engine, settings, examples, topic)
        prompts.append(ListPrompt(prompt, seed_of("list", round_number, index)))
    return prompts


def _fitting_prompt(
    engine: TextEngine, settings: GenerationSettings, examples: Sequence[str], topic: str | None
) -> str:
    """Return the prompt with as many examples as fit, at least one; the engine refuses a prompt that is too long."""
    limit = max_prompt_tokens(engine, settings.instruction_sampling)
    prompts = [
        CompletionStylePrompts.instruction_prompt(examples[:count], topic) for count in range(len(examples), 0, -1)
    ]
    return next((prompt for prompt in prompts if len(engine.encode(prompt)) <= limit), prompts[-1])


def max_prompt_tokens(engine: TextEngine, sampling: Sampling) -> int:
    """Return the maximum number of prompt tokens; one is reserved for a beginning-of-sequence token."""
    return engine.context_length - sampling.max_new_tokens - 1


def _mixed_examples(settings: GenerationSettings, accepted: Sequence[str], rng: random.Random) -> list[str]:
    """Draw seed instructions, and up to half of the examples from the accepted instructions of the shard."""
    generated = rng.sample(list(accepted), min(len(accepted), settings.list_examples // 2))
    pool = [text for text in seeds.seed_instructions() if text not in generated]
    examples = generated + rng.sample(pool, min(len(pool), settings.list_examples - len(generated)))
    rng.shuffle(examples)
    return examples


def _topic_examples(topic: str, settings: GenerationSettings, accepted: Sequence[str], rng: random.Random) -> list[str]:
    """Draw seed and accepted instructions of the topic; every topic has at least one seed."""
    pool = dict.fromkeys((*seeds.seed_instructions(), *accepted))
    of_topic = [text for text in pool if (parsed := registry.parse(text)) and _topic(parsed[0]) == topic]
    return rng.sample(of_topic, min(len(of_topic), settings.list_examples))


def _topic(family: str) -> str:
    return family.replace("_", " ")


def read_list(text: str, finish_reason: FinishReason) -> tuple[int, tuple[str, ...]]:
    """Return the number of non-blank lines of a completed list, and the instructions parsed from them."""
    lines = sum(bool(line.strip()) for line in text.splitlines())
    return lines, tuple(CompletionStylePrompts.parse_instructions(text, finish_reason != "length"))
