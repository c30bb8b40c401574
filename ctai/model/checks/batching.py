"""A trial of every model that is loaded: whether its architecture can be run as ctai runs models, in batches.

Prompts of different lengths go into a model together, padded at the left and masked, and are continued from a cache. A model
that takes the padding for text, or keeps what it has read elsewhere, would write something else in a batch than alone.
"""

from collections.abc import Container, Sequence
from typing import Any

import torch
from torch import Tensor

from ctai.errors import CtaiError, short_error
from ctai.model.inference.runner import Runner

# Probability that may move from some tokens to others. Masked padding adds exact zeros, but a mixture of experts rounds
# otherwise when other tokens go to an expert, and bfloat16 has 8 bits. Where padding is read, a fifth and more moves.
_NOISE = {torch.float32: 1e-4}
_NOISE_OF_SHORT_FLOATS = 0.1


def check_batching(module: Any, control: Container[int], device: str, name: str) -> None:
    """Continue a padded prompt beside a longer one, with one token and with another as its padding.

    Args:
        module: a transformers causal language model, in evaluation mode.
        control: ids of chat-control tokens, which no model is to see.
        device: where the model is.
        name: of the model, for the error.

    Raises:
        CtaiError: the model cannot be run, or what stands in the padding changes what it computes.
    """
    size = int(module.get_input_embeddings().weight.shape[0])
    ids = [token for token in range(size // 10, size, size // 10) if token not in control]  # all over the vocabulary
    try:
        with torch.inference_mode():
            one, other = (_padded(Runner(module, device), ids, padding) for padding in (ids[0], ids[-1]))
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # of the device, not of the architecture
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise CtaiError(_sentence(module, name, short_error(error))) from error
    moved = (one - other).abs().sum(-1).max() / 2
    if not bool(moved <= _NOISE.get(module.dtype, _NOISE_OF_SHORT_FLOATS)):
        raise CtaiError(_sentence(module, name, "it takes the padding of a batch for text"))


def _padded(runner: Runner, ids: Sequence[int], padding: int) -> Tensor:
    """Probabilities of the next token after a prompt of one token, and after one token more, [2, vocabulary]."""
    # the runner pads with the first token of the first prompt
    prompts = [[padding, *ids], [ids[-1]]]
    first, rows = runner.prefill(prompts, runner.prefix([]))
    second, _ = runner.advance(torch.tensor([ids[0]] * len(prompts), device=first.device), rows)
    return torch.stack([first[1], second[1]]).double().softmax(-1)


def _sentence(module: Any, name: str, why: str) -> str:
    return (
        f"{name} ({type(module).__name__}) cannot be run in batches that are continued from a cache: {why.rstrip('.')}; "
        "choose a base model of another architecture, such as Llama, Qwen, Mistral or GPT-2"
    )
