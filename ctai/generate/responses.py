"""Generating responses: few-shot prompts by item, the cleaned answer, and what quality control must know of it.

Owns which examples an item is shown. Framing and cleaning are `ctai.prompts`', faults are `ctai.detectors`'.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ctai.config import GenerationSettings
from ctai.generate.instructions import SeedOf, room_for_prompt
from ctai.model.text_engine import TextEngine
from ctai.prompts import DELIMITER, CompletionStylePrompts
from ctai.qc import find_faults
from ctai.records import Completion, Critique, GeneratedResponse
from ctai.tasks.seeds import few_shot_examples, seed_pairs


class Item(NamedTuple):
    """An instruction of a shard: its number, its text and what the critic said of it."""

    number: int
    instruction: str
    critique: Critique


class Response(NamedTuple):
    """An answer to an item: the prompt and seed it was generated with, raw, cleaned, and measured."""

    item: Item
    prompt: str
    seed: int
    completion: Completion
    text: str
    measured: GeneratedResponse


class Answered(NamedTuple):
    """The responses, and the items whose prompt does not fit into the context, none of them cut."""

    responses: list[Response]
    too_long: list[Item]


def respond(
    engine: TextEngine,
    settings: GenerationSettings,
    seed_of: SeedOf,
    items: Sequence[Item],
    control: frozenset[int] = frozenset(),
) -> Answered:
    """Answer each item after few-shot examples that its own seed draws.

    Args:
        engine: the model.
        settings: how to sample, and how many examples to show.
        seed_of: makes the seed of a thing from what names it within the shard.
        items: what to answer.
        control: ids of chat-control tokens; a response that ends with one has the fault `template`.
    """
    prompts = {item.number: _fitting_prompt(engine, settings, seed_of, item) for item in items}
    asked = [item for item in items if prompts[item.number] is not None]
    texts = [str(prompts[item.number]) for item in asked]
    seeds = [seed_of("response", item.number) for item in asked]
    completions = engine.generate(texts, settings.response_sampling, seeds)
    responses = [_response(engine, control, *parts) for parts in zip(asked, texts, seeds, completions, strict=True)]
    return Answered(responses, [item for item in items if prompts[item.number] is None])


def _fitting_prompt(engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, item: Item) -> str | None:
    """The prompt with as many of its examples as fit into the context beside the budget; None if it needs more."""
    rng = random.Random(seed_of("few shot", item.number))
    examples = few_shot_examples(min(settings.few_shot_examples, len(seed_pairs())), rng)
    room = room_for_prompt(engine, settings.response_sampling)
    for count in range(len(examples), 0, -1):
        prompt = CompletionStylePrompts.response_prompt(item.instruction, examples[:count])
        if engine.count_tokens(prompt) <= room:
            return prompt
    return None


def _response(
    engine: TextEngine, control: frozenset[int], item: Item, prompt: str, seed: int, completion: Completion
) -> Response:
    text, measured = measure(item.number, completion, engine.count_tokens, completion.token_ids[-1] in control)
    return Response(item, prompt, seed, completion, text, measured)


def measure(
    item: int, completion: Completion, count_tokens: Callable[[str], int], ended_by_control: bool
) -> tuple[str, GeneratedResponse]:
    """The cleaned answer inside a completion, and what quality control must know of it.

    Args:
        item: its number.
        completion: what the model wrote.
        count_tokens: of a text, without special tokens.
        ended_by_control: the last token is a chat-control token, which the text does not show.
    """
    # The stop string "\n###" ends the generation inside the delimiter.
    found = DELIMITER in completion.raw or (
        completion.finish_reason == "stop" and completion.raw.rstrip().endswith(DELIMITER[:3])
    )
    # Where the model ended its answer itself, the paragraphs before that are all its answer.
    text = CompletionStylePrompts.clean_response(completion.text + DELIMITER if found else completion.text)
    ended = {"template"} if ended_by_control else set()
    return text, GeneratedResponse(
        item=item,
        tokens=count_tokens(text),
        finish_reason=completion.finish_reason,
        delimiter_found=found,
        heuristic_cut=text != completion.text.strip(),
        faults=tuple(sorted(find_faults(text, completion.finish_reason) | ended)),
        raw_faults=tuple(sorted(find_faults(completion.raw, completion.finish_reason) | ended)),
    )
