"""Llama network for pretraining on a CPU, with matrix products in bfloat16, which are about 3x faster there.

Owns the forward pass for training and the conversion to ``LlamaForCausalLM`` of transformers, which must give the same
logits. Weights stay in float32; each step computes with a copy, which in the last part of training is rounded to NF4
with a straight-through gradient, so that 4-bit loading costs little accuracy.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

BLOCK = 64
EPSILON = 1e-6
THETA = 10_000.0
NF4_LEVELS = torch.tensor(
    [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ]
)


class Shape(NamedTuple):
    """Dimensions of the network."""

    vocabulary: int = 2432
    hidden: int = 192
    inner: int = 384
    layers: int = 8
    heads: int = 3
    context: int = 320


def nf4(weight: Tensor) -> Tensor:
    """Round to the nearest NF4 value in blocks of 64, as bitsandbytes does (without its double quantization)."""
    blocks = weight.reshape(-1, BLOCK)
    scale = blocks.abs().amax(1, keepdim=True).clamp_min(1e-12)
    middles = (NF4_LEVELS[1:] + NF4_LEVELS[:-1]) / 2
    return (NF4_LEVELS[torch.bucketize(blocks / scale, middles)] * scale).reshape(weight.shape)


class _Bf16Product(torch.autograd.Function):
    """``x @ working.T`` in bfloat16; the gradient of the working copy goes to the master weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, working: Tensor) -> Tensor:
        low = x.to(torch.bfloat16)
        ctx.save_for_backward(low, working)
        return low @ working.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        low, working = ctx.saved_tensors
        gradient = gradient.to(torch.bfloat16)
        return gradient @ working, (gradient.t() @ low).float(), None


product: Callable[..., Tensor] = _Bf16Product.apply


def _normalize(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * weight


class Network(nn.Module):
    """A Llama with fused query-key-value and gate-up matrices."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        hidden, inner, layers = shape.hidden, shape.inner, shape.layers
        out = 0.02 / (2 * layers) ** 0.5

        def stack(rows: int, columns: int, std: float) -> nn.ParameterList:
            return nn.ParameterList(nn.Parameter(torch.randn(rows, columns) * std) for _ in range(layers))

        self.embedding = nn.Parameter(torch.randn(shape.vocabulary, hidden) * 0.02)
        self.qkv, self.output = stack(3 * hidden, hidden, 0.02), stack(hidden, hidden, out)
        self.gate_up, self.down = stack(2 * inner, hidden, 0.02), stack(hidden, inner, out)
        self.norms = nn.ParameterList(nn.Parameter(torch.ones(hidden)) for _ in range(2 * layers + 1))
        size = hidden // shape.heads
        angles = torch.outer(torch.arange(shape.context).float(), THETA ** (-torch.arange(0, size, 2) / size))
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin(), persistent=False)

    def matrices(self) -> list[nn.Parameter]:
        """Return the weights of all linear layers except the head, in the order of the copies that ``forward`` takes."""
        return [weight for group in (self.qkv, self.output, self.gate_up, self.down) for weight in group]

    def working_copies(self, quantized: bool) -> list[Tensor]:
        """Return the bfloat16 copies to compute with: the matrices, optionally rounded to NF4, and the embedding."""
        with torch.no_grad():
            copies = [(nf4(w) if quantized else w).to(torch.bfloat16) for w in self.matrices()]
            return [*copies, self.embedding.to(torch.bfloat16)]

    def forward(self, tokens: Tensor, working: list[Tensor]) -> Tensor:
        """Return the logits in float32, of shape [batch * length, vocabulary]."""
        batch, length = tokens.shape
        layers = self.shape.layers
        x = F.embedding(tokens, self.embedding).reshape(batch * length, -1)
        for layer in range(layers):
            copies = working[layer:-1:layers]
            normal = _normalize(x, self.norms[2 * layer])
            mixed = self._attention(product(normal, self.qkv[layer], copies[0]), batch, length)
            x = x + product(mixed, self.output[layer], copies[1])
            normal = _normalize(x, self.norms[2 * layer + 1])
            gate, up = product(normal, self.gate_up[layer], copies[2]).float().chunk(2, -1)
            x = x + product(F.silu(gate) * up, self.down[layer], copies[3])
        return product(_normalize(x, self.norms[-1]), self.embedding, working[-1]).float()

    def _attention(self, fused: Tensor, batch: int, length: int) -> Tensor:
        """Return causal attention; PyTorch's operator, since a compiled one gave gradients of nan on a CPU with AVX-512."""
        heads, size = self.shape.heads, self.shape.hidden // self.shape.heads
        query, key, value = fused.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        query, key = self._rotate(query.float(), length), self._rotate(key.float(), length)
        low = (query.to(torch.bfloat16), key.to(torch.bfloat16), value.to(torch.bfloat16))
        mixed = F.scaled_dot_product_attention(*low, is_causal=True)
        return mixed.transpose(1, 2).reshape(batch * length, -1)

    def _rotate(self, x: Tensor, length: int) -> Tensor:
        first, second = x.chunk(2, -1)
        return x * self.cos[:length] + torch.cat([-second, first], -1) * self.sin[:length]


def llama_config(shape: Shape, eos: int, pad: int) -> LlamaConfig:
    """Return the configuration of the network for transformers."""
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        rms_norm_eps=EPSILON,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=pad,
    )


def to_llama(network: Network, config: LlamaConfig) -> LlamaForCausalLM:
    """Return the network as a ``LlamaForCausalLM`` with copies of the weights."""
    weights = {"model.embed_tokens.weight": network.embedding, "model.norm.weight": network.norms[-1]}
    for layer in range(network.shape.layers):
        at = f"model.layers.{layer}"
        query, key, value = network.qkv[layer].chunk(3)
        gate, up = network.gate_up[layer].chunk(2)
        weights |= {
            f"{at}.self_attn.q_proj.weight": query,
            f"{at}.self_attn.k_proj.weight": key,
            f"{at}.self_attn.v_proj.weight": value,
            f"{at}.self_attn.o_proj.weight": network.output[layer],
            f"{at}.mlp.gate_proj.weight": gate,
            f"{at}.mlp.up_proj.weight": up,
            f"{at}.mlp.down_proj.weight": network.down[layer],
            f"{at}.input_layernorm.weight": network.norms[2 * layer],
            f"{at}.post_attention_layernorm.weight": network.norms[2 * layer + 1],
        }
    model = LlamaForCausalLM(config)
    weights["lm_head.weight"] = network.embedding
    model.load_state_dict({name: weight.detach().clone() for name, weight in weights.items()})
    return model.eval()
