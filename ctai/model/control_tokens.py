"""Chat-control tokens of a tokenizer, and the guard that refuses them before every model call.

Owns the definition of a control token. Checks that need more than token ids are in `ctai.model.checks`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ctai.errors import ContaminationError
from ctai.model.chat_template import template_text

WELL_KNOWN_CONTROL_TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|im_sep|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>",
    "<|header_start|>", "<|header_end|>", "<|eot|>",
    "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<<SYS>>", "<</SYS>>",
    "<start_of_turn>", "<end_of_turn>", "<|turn>", "<turn|>",
    "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|observation|>",
    "<|start|>", "<|message|>", "<|channel|>", "<|return|>",
    "<|start_of_role|>", "<|end_of_role|>",
    "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>",
    "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>",
)  # fmt: skip


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the chat-control tokens of a tokenizer, by id.

    A special or added token is a control token when the chat template's text contains it, also when it serves as
    bos, eos or pad (in SmolLM2 all three do). Well-known control tokens count whether or not there is a template:
    base models share their tokenizer with their instruct variants.

    Args:
        tokenizer: as loaded, with its chat template still in place.

    Returns:
        Token text by id, in order of the ids.
    """
    template = template_text(tokenizer)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()} | set(tokenizer.all_special_tokens)
    names = {text for text in added if text.strip() and text in template}
    names |= vocabulary.keys() & set(WELL_KNOWN_CONTROL_TOKENS)
    return dict(sorted((vocabulary[text], text) for text in names if text in vocabulary))


class InputGuard:
    """Check of input ids for chat-control tokens, run before every model call.

    Args:
        control: token text by id, from `control_tokens`.
    """

    def __init__(self, control: Mapping[int, str]) -> None:
        self._control = dict(control)

    @property
    def control_ids(self) -> tuple[int, ...]:
        """Refused token ids, in ascending order."""
        return tuple(sorted(self._control))

    def check(self, ids: Iterable[Sequence[int]]) -> None:
        """Check every position of every row for chat-control tokens.

        Raises:
            ContaminationError: a row holds one; the message names the first, with its id, row and position.
        """
        for row, sequence in enumerate(ids):
            if self._control.keys().isdisjoint(sequence):
                continue
            position = next(i for i, token in enumerate(sequence) if token in self._control)
            token = sequence[position]
            raise ContaminationError(
                f"chat-control token {self._control[token]!r} (id {token}) at position {position} of input {row}: "
                "a base model in completion mode is never sent template text. Remove it from the prompt"
            )
