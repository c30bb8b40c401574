"""Generating responses: few-shot prompts by item, the cleaned answer, and what quality control must know of it.

Owns which examples an item is shown. Framing and cleaning are `ctai.prompts`', faults are `ctai.qc.faults`'.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from ctai.config import GenerationSettings
from ctai.generate.instructions import SeedOf, room_for_prompt
from ctai.model.protocols import TextEngine
from ctai.prompts import DELIMITER, CompletionStylePrompts
from ctai.qc.faults import find_faults
from ctai.records import Completion, Critique, GeneratedResponse
from ctai.tasks.seeds import few_shot_examples, seed_pairs


class ResponseRequest(NamedTuple):
    """An instruction of a shard: its number, its text and what the critic said of it."""

    number: int
    instruction: str
    critique: Critique


class ResponseDraft(NamedTuple):
    """An answer to an item: the prompt and seed it was generated with, raw, cleaned, and measured.

    `has_control_token` is whether the tokenizer reads one in the text, which the model wrote letter by letter.
    """

    item: ResponseRequest
    prompt: str
    seed: int
    completion: Completion
    text: str
    has_control_token: bool
    measured: GeneratedResponse


class ResponseBatch(NamedTuple):
    """The responses, and the items whose prompt does not fit into the context, none of them cut."""

    responses: list[ResponseDraft]
    too_long: list[ResponseRequest]


def respond(
    engine: TextEngine,
    settings: GenerationSettings,
    seed_of: SeedOf,
    items: Sequence[ResponseRequest],
    control: frozenset[int] = frozenset(),
) -> ResponseBatch:
    """Answer each item after few-shot examples that its own seed draws.

    Args:
        engine: the model.
        settings: how to sample, and how many examples to show.
        seed_of: makes the seed of a thing from what names it within the shard.
        items: what to answer.
        control: ids of chat-control tokens; a response that ends with one has the fault `template`.
    """
    prompts = _fitting_prompts(engine, settings, seed_of, items)
    asked = [item for item, prompt in zip(items, prompts, strict=True) if prompt is not None]
    texts = [prompt for prompt in prompts if prompt is not None]
    seeds = [seed_of("response", item.number) for item in asked]
    completions = engine.generate(texts, settings.response_sampling, seeds)
    answers = [parse_response(completion) for completion in completions]
    tokens = engine.encode_batch([answer.text for answer in answers])
    responses = [
        ResponseDraft(
            item=item,
            prompt=prompt,
            seed=seed,
            completion=completion,
            text=answer.text,
            has_control_token=not control.isdisjoint(ids),
            measured=measure(item.number, completion, answer, len(ids), completion.token_ids[-1] in control),
        )
        for item, prompt, seed, completion, answer, ids in zip(
            asked, texts, seeds, completions, answers, tokens, strict=True
        )
    ]
    too_long = [item for item, prompt in zip(items, prompts, strict=True) if prompt is None]
    return ResponseBatch(responses, too_long)


def _fitting_prompts(
    engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, items: Sequence[ResponseRequest]
) -> list[str | None]:
    """For each item the prompt with as many of its examples as fit beside the budget; None if it needs more room."""
    room, most = room_for_prompt(engine, settings.response_sampling), min(settings.few_shot_examples, len(seed_pairs()))
    # An item's own seed draws its examples: as many as are wanted, of which fewer may be shown.
    examples = [few_shot_examples(most, random.Random(seed_of("few shot", item.number))) for item in items]
    found: list[str | None] = [None] * len(items)
    for count in range(most, 0, -1):
        waiting = [index for index, prompt in enumerate(found) if prompt is None]
        prompts = [
            CompletionStylePrompts.response_prompt(items[index].instruction, examples[index][:count])
            for index in waiting
        ]
        for index, prompt, ids in zip(waiting, prompts, engine.encode_batch(prompts), strict=True):
            found[index] = prompt if len(ids) <= room else None
    return found


class ParsedResponse(NamedTuple):
    """The cleaned answer inside a completion, and whether the delimiter ended it."""

    text: str
    delimiter_found: bool


def parse_response(completion: Completion) -> ParsedResponse:
    """The answer inside a completion."""
    # The stop string "\n###" ends the generation inside the delimiter.
    found = DELIMITER in completion.raw or (
        completion.finish_reason == "stop" and completion.raw.rstrip().endswith(DELIMITER[:3])
    )
    # Where the model ended its answer itself, the paragraphs before that are all its answer.
    text = CompletionStylePrompts.clean_response(completion.text + DELIMITER if found else completion.text)
    return ParsedResponse(text, found)


def measure(
    item: int, completion: Completion, answer: ParsedResponse, tokens: int, ended_by_control: bool
) -> GeneratedResponse:
    """What quality control must know of a response.

    Args:
        item: its number.
        completion: what the model wrote.
        answer: what was read in it.
        tokens: of the answer, without special tokens.
        ended_by_control: the last token is a chat-control token, which the text does not show.
    """
    ended = {"template"} if ended_by_control else set()
    return GeneratedResponse(
        item=item,
        tokens=tokens,
        finish_reason=completion.finish_reason,
        delimiter_found=answer.delimiter_found,
        heuristic_cut=answer.text != completion.text.strip(),
        faults=tuple(sorted(find_faults(answer.text, completion.finish_reason) | ended)),
        raw_faults=tuple(sorted(find_faults(completion.raw, completion.finish_reason) | ended)),
    )
