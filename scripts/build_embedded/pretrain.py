"""Pretraining of the embedded base model: a fixed number of steps from one seed, with checkpoints.

Owns the training loop and the export to a transformers folder. The number of steps is fixed, not the wall time, so that
a slower machine trains the same model up to floating-point rounding.
"""

import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from scripts.build_embedded.batches import Stream
from scripts.build_embedded.network import Network, Shape, llama_config, to_llama
from scripts.build_embedded.optimizer import MuonAdamW
from scripts.build_embedded.tokenizer import save_tokenizer, train_tokenizer

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of a pretraining run."""

    steps: int = 2000
    seed: int = 0
    rows: int = 16
    muon_rate: float = 0.015
    adamw_rate: float = 3e-3
    warmup: float = 0.02
    decay: float = 0.5
    quantized: float = 0.2
    shape: Shape = field(default_factory=Shape)

    def factor(self, step: int) -> float:
        """Return the factor of the learning rates: linear warm-up, constant, then linear decay to 0.01."""
        done = step / self.steps
        return max(0.01, min(1.0, (done + 1 / self.steps) / self.warmup, (1 - done) / self.decay))

    def is_quantized(self, step: int) -> bool:
        """Return whether this step computes with weights rounded to NF4, as the last steps do."""
        return step >= self.steps * (1 - self.quantized)


def loss_of(network: Network, tokens: Tensor, targets: Tensor, weights: Tensor, working: list[Tensor]) -> Tensor:
    """Return the weighted mean cross entropy."""
    losses = F.cross_entropy(network(tokens, working), targets.reshape(-1), reduction="none")
    return (losses * weights.reshape(-1)).sum() / weights.sum()


class Trainer:
    """Training run that can be resumed; writes ``checkpoint.pt`` and ``progress.log`` into its folder."""

    def __init__(self, plan: Plan, out: Path) -> None:
        self.plan, self.out, self.step, self.digest = plan, out, 0, ""
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        self.tokenizer: Tokenizer = train_tokenizer(f"tokenizer/{plan.seed}")
        self.network = Network(plan.shape)
        self.optimizer = MuonAdamW(self.network)
        self._checkpoint = out / "checkpoint.pt"
        if self._checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        saved = torch.load(self._checkpoint, weights_only=True)
        if saved["plan"] != json.dumps(asdict(self.plan)):
            raise SystemExit(f"{self._checkpoint} belongs to another plan: choose another --out or remove it")
        self.network.load_state_dict(saved["network"])
        self.optimizer.load(saved["optimizer"])
        self.step, self.digest = saved["step"], saved["digest"]

    def _save(self, digest: str) -> None:
        part = self._checkpoint.with_suffix(".part")
        torch.save(
            {
                "plan": json.dumps(asdict(self.plan)),
                "network": self.network.state_dict(),
                "step": self.step,
                "optimizer": self.optimizer.state(),
                "digest": digest,
            },
            part,
        )
        part.rename(self._checkpoint)

    def run(self, log_every: int = 50, save_every: int = 512) -> str:
        """Train to the last step and return the digest of the corpus that was read."""
        plan = self.plan
        torch.set_flush_denormal(True)  # denormal numbers are slow on a CPU
        compiled = torch.compile(loss_of, dynamic=False)
        # A shard holds a whole number of steps and checkpoints fall between shards, so that the digest can be resumed.
        stream = Stream(self.tokenizer, plan.seed, plan.shape.context, plan.rows, self.step)
        stream.digest = self.digest
        started, first, total = time.monotonic(), self.step, 0.0
        for tokens, targets, weights in stream:
            if self.step >= plan.steps:
                break
            if self.step % save_every == 0 and self.step > first:
                self._save(self.digest)
            self.digest = stream.digest
            factor = plan.factor(self.step)
            loss = compiled(
                self.network, tokens, targets, weights, self.network.working_copies(plan.is_quantized(self.step))
            )
            loss.backward()
            self.optimizer.step(plan.muon_rate * factor, plan.adamw_rate * factor)
            self.step += 1
            total += loss.item()
            if not math.isfinite(total):
                raise SystemExit(f"the loss is not a number after step {self.step}: nothing is saved, see {self.out}")
            if self.step % log_every == 0:
                self._log(total / log_every, started, first)
                total = 0.0
        self._save(self.digest)
        return self.digest

    def _log(self, loss: float, started: float, first: int) -> None:
        seconds = (time.monotonic() - started) / (self.step - first)
        rate = self.plan.rows * self.plan.shape.context / seconds
        left = (self.plan.steps - self.step) * seconds / 60
        line = f"step {self.step}/{self.plan.steps} loss {loss:.4f} {rate:.0f} tokens/s, {left:.1f} min left"
        with (self.out / "progress.log").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, flush=True)

    def export(self, folder: Path) -> PreTrainedTokenizerFast:
        """Write the model as a transformers folder in float16 and return its tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = save_tokenizer(self.tokenizer, folder)
        config = llama_config(self.plan.shape, tokenizer.eos_token_id, tokenizer.pad_token_id)
        to_llama(self.network, config).half().save_pretrained(folder)
        return tokenizer
