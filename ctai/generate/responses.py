"""Response generation: few-shot prompts by item, the cleaned response, and its record for quality control.

Owns the choice of the examples in a response prompt. Does not own framing and cleaning (`ctai.prompts`) or fault
detection (`ctai.qc`).
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from ctai.config import GenerationSettings
from ctai.generate.instructions import SeedOf, max_prompt_tokens
from ctai.model.protocols import TextEngine
from ctai.prompts import DELIMITER, CompletionStylePrompts
from ctai.qc.faults import find_faults
from ctai.records import Completion, Critique, GeneratedResponse
from ctai.tasks.seeds import few_shot_examples, seed_pairs


class ResponseRequest(NamedTuple):
    """An instruction of a shard: its number, its text and its critique."""

    number: int
    instruction: str
    critique: Critique


class ResponseDraft(NamedTuple):
    """A response before it is judged.

    Attributes:
        item: the request that it answers.
        prompt: the few-shot prompt that was sent.
        seed: of the completion.
        completion: raw output of the model.
        text: the cleaned response.
        has_control_token: the tokenizer reads a chat-control token in the text, which the model wrote letter by letter.
        record: lengths and faults for quality control.
    """

    item: ResponseRequest
    prompt: str
    seed: int
    completion: Completion
    text: str
    has_control_token: bool
    record: GeneratedResponse


class ResponseBatch(NamedTuple):
    """The responses, and the items whose prompt does not fit into the context."""

    responses: list[ResponseDraft]
    too_long: list[ResponseRequest]


def generate_responses(
    engine: TextEngine,
    settings: GenerationSettings,
    seed_of: SeedOf,
    items: Sequence[ResponseRequest],
    control: frozenset[int] = frozenset(),
) -> ResponseBatch:
    """Answer each item after few-shot examples drawn with the seed of the item; no prompt is cut.

    Args:
        engine: the model.
        settings: sampling parameters and number of few-shot examples.
        seed_of: derives a seed from the parts that name its use within the shard.
        items: the instructions to answer.
        control: ids of chat-control tokens; a response that ends with one has the fault `template`.
    """
    prompts = _fitting_prompts(engine, settings, seed_of, items)
    answerable = [item for item, prompt in zip(items, prompts, strict=True) if prompt is not None]
    texts = [prompt for prompt in prompts if prompt is not None]
    seeds = [seed_of("response", item.number) for item in answerable]
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
            record=measure(item.number, completion, answer, len(ids), completion.token_ids[-1] in control),
        )
        for item, prompt, seed, completion, answer, ids in zip(
            answerable, texts, seeds, completions, answers, tokens, strict=True
        )
    ]
    too_long = [item for item, prompt in zip(items, prompts, strict=True) if prompt is None]
    return ResponseBatch(responses, too_long)


def _fitting_prompts(
    engine: TextEngine, settings: GenerationSettings, seed_of: SeedOf, items: Sequence[ResponseRequest]
) -> list[str | None]:
    """Return for each item the prompt with as many of its examples as fit; None if not even one does."""
    limit = max_prompt_tokens(engine, settings.response_sampling)
    maximum = min(settings.few_shot_examples, len(seed_pairs()))
    # The seed of the item draws the configured number of examples, also where fewer are shown.
    examples = [few_shot_examples(maximum, random.Random(seed_of("few shot", item.number))) for item in items]
    fitting: list[str | None] = [None] * len(items)
    for count in range(maximum, 0, -1):
        pending = [index for index, prompt in enumerate(fitting) if prompt is None]
        prompts = [
            CompletionStylePrompts.response_prompt(items[index].instruction, examples[index][:count])
            for index in pending
        ]
        for index, prompt, ids in zip(pending, prompts, engine.encode_batch(prompts), strict=True):
            fitting[index] = prompt if len(ids) <= limit else None
    return fitting


class ParsedResponse(NamedTuple):
    """The cleaned response inside a completion, and whether the delimiter ended it."""

    text: str
    delimiter_found: bool


def parse_response(completion: Completion) -> ParsedResponse:
    """Return the cleaned response inside a completion."""
    # The stop string "\n###" ends the generation inside the delimiter.
    delimiter_found = DELIMITER in completion.raw or (
        completion.finish_reason == "stop" and completion.raw.rstrip().endswith(DELIMITER[:3])
    )
    # Where the model ended its response itself, all paragraphs before that belong to it.
    text = CompletionStylePrompts.clean_response(completion.text + DELIMITER if delimiter_found else completion.text)
    return ParsedResponse(text, delimiter_found)


def measure(
    item: int, completion: Completion, answer: ParsedResponse, tokens: int, ended_by_control: bool
) -> GeneratedResponse:
    """Compute the record of a response for quality control: lengths, delimiter and faults of form.

    Args:
        item: number of the item.
        completion: raw output of the model.
        answer: the response parsed from it.
        tokens: number of tokens of the response, without special tokens.
        ended_by_control: the last token is a chat-control token, which the text does not show.
    """
    ending = {"template"} if ended_by_control else set()
    return GeneratedResponse(
        item=item,
        tokens=tokens,
        finish_reason=completion.finish_reason,
        delimiter_found=answer.delimiter_found,
        heuristic_cut=answer.text != completion.text.strip(),
        faults=tuple(sorted(find_faults(answer.text, completion.finish_reason) | ending)),
        raw_faults=tuple(sorted(find_faults(completion.raw, completion.finish_reason) | ending)),
    )
