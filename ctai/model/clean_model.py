"""A checked model and its arms: the base weights, or the same weights with a LoRA adapter on them.

Owns that only one arm can be used at a time, since an adapter changes the base weights' modules in place: the other
arm's engine refuses its calls. It loads no base weights (`loader`).
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peft import PeftModel, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError, safe_open

from ctai.errors import CtaiError
from ctai.model.inference.engine import Engine
from ctai.model.sources import ADAPTER_WEIGHTS, adapter_digest
from ctai.records import ModelProvenance


@dataclass(frozen=True)
class CleanModel:
    """A model that passed the checks, or that model with an adapter.

    Attributes:
        module: the transformers module, for training; everything else goes through `engine`.
        tokenizer: without its chat template; use it with `add_special_tokens=False`.
        engine: generation and log-probabilities.
        provenance: what was loaded, how, and what the checks said.
    """

    module: Any
    tokenizer: Any
    engine: Engine
    provenance: ModelProvenance
    _base: "CleanModel | None" = field(default=None, repr=False)

    def with_adapter(self, path: str | Path) -> "CleanModel":
        """This model with a LoRA adapter on the same weights in memory.

        Until `unload()` of the returned model (or the end of its `with` block), the base arm refuses its calls.

        Args:
            path: a folder with `adapter_config.json` and `adapter_model.safetensors`.

        Raises:
            CtaiError: this model has an adapter already, or the folder holds none that fits.
        """
        if self._base is not None or getattr(self.module, "peft_config", None):
            raise CtaiError(
                "an adapter is attached already: unload it first, adapters are not put on top of each other"
            )
        digest = adapter_digest(Path(path))
        adapted = _attach(self.module, Path(path)).eval()
        engine = self.engine.on(adapted)
        self.engine.suspend("an adapter is attached to these weights: unload it before using the base arm")
        provenance = self.provenance.model_copy(update={"adapter_digest": digest})
        return CleanModel(adapted, self.tokenizer, engine, provenance, self)

    def unload(self) -> "CleanModel":
        """Take the adapter off and return the base arm, whose weights are then what they were.

        Raises:
            CtaiError: this is the base arm.
        """
        if self._base is None:
            raise CtaiError("this is the base model: there is no adapter to unload")
        self.module.unload()
        _detach(self._base.module)
        self.engine.suspend("this adapter was unloaded: attach it again with with_adapter")
        self._base.engine.suspend(None)
        return self._base

    def __enter__(self) -> "CleanModel":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._base is not None:
            self.unload()


def _attach(module: Any, folder: Path) -> Any:
    """Put an adapter on the base module, all of it or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # checked below, as an error
            warnings.filterwarnings(
                "ignore", message=".is_gradient_checkpointing. is deprecated"
            )  # said by peft's own call
            adapted = PeftModel.from_pretrained(module, str(folder), is_trainable=False)
        _check_tensors(adapted, folder / ADAPTER_WEIGHTS)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        _detach(module)
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CtaiError(f"the adapter {folder} does not fit this model: {first[:200]}") from error
    return adapted


def _check_tensors(adapted: Any, weights: Path) -> None:
    """Every tensor of the adapter comes from its file: one that does not would leave the arm the bare base there."""
    with safe_open(weights, framework="pt") as file:
        given = set(file.keys())
    needed = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    if given != needed:
        different = sorted(given ^ needed)
        raise ValueError(f"{len(different)} of its tensors do not match its configuration, such as {different[0]}")


def _detach(module: Any) -> None:
    """Put the base layers back in place of an adapter's, and forget its configuration.

    peft does the first when it unloads, but not when attaching failed half-way; the second it never does.
    """
    for name, layer in list(module.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, layer.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config
