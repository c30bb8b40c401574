"""Chat templates of tokenizers: read for their control tokens, then removed. No other module touches them."""

from collections.abc import Mapping
from typing import Any, NoReturn

from ctai.errors import ContaminationError


def template_text(tokenizer: Any) -> str:
    """Return the text of all chat templates of a tokenizer; empty when it has none."""
    template = getattr(tokenizer, "chat_template", None) or ""
    return "\n".join(map(str, template.values())) if isinstance(template, Mapping) else str(template)


def disable_template(tokenizer: Any) -> None:
    """Remove the chat template, so that any use of it raises `ContaminationError`."""
    tokenizer.chat_template = None
    for name in ("apply_chat_template", "encode_message_with_chat_template"):
        if hasattr(tokenizer, name):
            setattr(tokenizer, name, _refuse_template)


def _refuse_template(*_args: object, **_options: object) -> NoReturn:
    raise ContaminationError("the chat template is disabled: ctai sends plain text in completion mode only")
