"""Optimizer of pretraining: Muon (Jordan et al. 2024) for the matrices, AdamW for embedding and norms.

Muon learns closed-world facts in far fewer tokens than AdamW alone, and on matrices this small its orthogonalization
costs little. Matrices of the same shape are orthogonalized in one batch.
"""

from collections import defaultdict

import torch
from torch import Tensor, nn

from scripts.build_embedded.network import Network

MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(update: Tensor, rounds: int = 5) -> Tensor:
    """Bring all singular values of a stack of matrices close to one by Newton-Schulz iteration in bfloat16."""
    a, b, c = _COEFFICIENTS
    x = update.to(torch.bfloat16)
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class MuonAdamW:
    """Muon and AdamW behind one ``step``, which takes both learning rates."""

    def __init__(self, network: Network, weight_decay: float = 0.01) -> None:
        groups: dict[tuple[int, int], list[tuple[nn.Parameter, int]]] = defaultdict(list)
        hidden, inner = network.shape.hidden, network.shape.inner
        # A fused matrix holds several linear maps; each is orthogonalized separately.
        for weights, rows in ((network.qkv, hidden), (network.output, hidden), (network.gate_up, inner)):
            for weight in weights:
                for start in range(0, weight.size(0), rows):
                    groups[rows, hidden].append((weight, start))
        groups[hidden, inner] = [(weight, 0) for weight in network.down]
        self._groups = dict(groups)
        self._momenta = {shape: torch.zeros(len(parts), *shape) for shape, parts in groups.items()}
        self._weight_decay = weight_decay
        self._adamw = torch.optim.AdamW(
            [{"params": [network.embedding]}, {"params": list(network.norms)}],
            betas=(0.9, 0.95),
            weight_decay=0.0,
            fused=True,
        )

    @torch.no_grad()
    def step(self, muon_rate: float, adamw_rate: float) -> None:
        """Update all weights and clear their gradients."""
        for (rows, columns), parts in self._groups.items():
            gradients = torch.stack([w.grad[at : at + rows] for w, at in parts if w.grad is not None])
            momenta = self._momenta[rows, columns]
            momenta.lerp_(gradients, 1 - MOMENTUM)
            updates = orthogonalize(gradients.lerp(momenta, MOMENTUM)) * max(1.0, rows / columns) ** 0.5
            for (weight, at), update in zip(parts, updates, strict=True):
                part = weight[at : at + rows]
                part.mul_(1 - muon_rate * self._weight_decay).sub_(update, alpha=muon_rate)
        for weight in {id(w): w for parts in self._groups.values() for w, _ in parts}.values():
            weight.grad = None
        for group in self._adamw.param_groups:
            group["lr"] = adamw_rate
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)

    def state(self) -> dict[str, object]:
        """Return the state of both optimizers, for a checkpoint."""
        return {"momenta": self._momenta, "adamw": self._adamw.state_dict()}

    def load(self, state: dict[str, object]) -> None:
        """Restore the state from a checkpoint."""
        self._momenta = state["momenta"]  # type: ignore[assignment]
        self._adamw.load_state_dict(state["adamw"])
