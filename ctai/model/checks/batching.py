"""Check that a model supports left-padded batched decoding with a KV cache.

Prompts of different lengths share a batch, padded at the left and masked, and are continued from a cache. A model that
reads the padding as text, or keeps state outside the cache, would write other text in a batch than alone.
"""

from collections.abc import Container, Sequence
from typing import Any

import torch
from torch import Tensor

from ctai.errors import CtaiError, short_error
from ctai.model.inference.runner import Runner

# Maximum total variation distance. Masked padding adds exact zeros, but a mixture of experts rounds differently when
# other tokens go to an expert, and bfloat16 has 8 bits. Models that read the padding differ by 0.2 and more.
_MAX_DISTANCE = {torch.float32: 1e-4}
_MAX_DISTANCE_SHORT_FLOATS = 0.1


def check_batching(module: Any, control: Container[int], device: str, name: str) -> None:
    """Compare the continuations of a padded prompt for two padding tokens.

    Args:
        module: transformers causal language model in evaluation mode.
        control: ids of chat-control tokens, which are never sent to a model.
        device: device of the model.
        name: name of the model for the error message.

    Raises:
        CtaiError: the model cannot be run, or its output depends on the padding token.
    """
    size = int(module.get_input_embeddings().weight.shape[0])
    ids = [token for token in range(size // 10, size, size // 10) if token not in control]  # across the vocabulary
    try:
        with torch.inference_mode():
            first, second = (_probabilities(Runner(module, device), ids, padding) for padding in (ids[0], ids[-1]))
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # of the device, not of the architecture
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise CtaiError(_message(module, name, short_error(error))) from error
    distance = (first - second).abs().sum(-1).max() / 2
    if not bool(distance <= _MAX_DISTANCE.get(module.dtype, _MAX_DISTANCE_SHORT_FLOATS)):
        raise CtaiError(_message(module, name, "it takes the padding of a batch for text"))


def _probabilities(runner: Runner, ids: Sequence[int], padding: int) -> Tensor:
    """Return next-token probabilities of a padded one-token prompt and after one more token, [2, vocabulary]."""
    # the runner pads with the first token of the first prompt
    prompts = [[padding, *ids], [ids[-1]]]
    first, state = runner.prefill(prompts, runner.prefix([]))
    second, _ = runner.advance(torch.tensor([ids[0]] * len(prompts), device=first.device), state)
    return torch.stack([first[1], second[1]]).double().softmax(-1)


def _message(module: Any, name: str, reason: str) -> str:
    return (
        f"{name} ({type(module).__name__}) cannot be run in batches that are continued from a cache: {reason.rstrip('.')}; "
        "choose a base model of another architecture, such as Llama, Qwen, Mistral or GPT-2"
    )
