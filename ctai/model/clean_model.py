"""A checked model and its arms: the base weights, or the same weights with a LoRA adapter attached.

Owns the rule that only one arm is usable at a time: an adapter changes the modules of the base weights in place, so
the engine of the other arm refuses its calls. Does not load base weights (`ctai.model.loader`).
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
    """A model that passed the checks, with or without an adapter.

    Attributes:
        module: transformers module, for training; everything else goes through `engine`.
        tokenizer: tokenizer without its chat template, to be used with `add_special_tokens=False`.
        engine: generation and log-probabilities.
        provenance: record of the files, the loading options and the results of the checks.
    """

    module: Any
    tokenizer: Any
    engine: Engine
    provenance: ModelProvenance
    _base: "CleanModel | None" = field(default=None, repr=False)

    def with_adapter(self, path: str | Path) -> "CleanModel":
        """Attach a LoRA adapter to the weights in memory and return the adapted model.

        Until `unload()` of the returned model (or the end of its `with` block), the base arm refuses its calls.

        Args:
            path: folder with `adapter_config.json` and `adapter_model.safetensors`.

        Raises:
            CtaiError: an adapter is attached already, or the folder holds no adapter that fits the model.
        """
        if self._base is not None or getattr(self.module, "peft_config", None):
            raise CtaiError(
                "an adapter is attached already: unload it first, adapters are not put on top of each other"
            )
        digest = adapter_digest(Path(path))
        adapted = _attach(self.module, Path(path)).eval()
        engine = self.engine.for_model(adapted)
        self.engine.suspend("an adapter is attached to these weights: unload it before using the base arm")
        provenance = self.provenance.model_copy(update={"adapter_digest": digest})
        return CleanModel(adapted, self.tokenizer, engine, provenance, self)

    def unload(self) -> "CleanModel":
        """Detach the adapter and return the base arm with its original weights.

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
    """Attach an adapter to the base module, or leave the module unchanged if the adapter does not fit."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # checked below, as an error
            warnings.filterwarnings(
                "ignore", message=".is_gradient_checkpointing. is deprecated"
            )  # raised by a call inside peft
            adapted = PeftModel.from_pretrained(module, str(folder), is_trainable=False)
        _check_tensors(adapted, folder / ADAPTER_WEIGHTS)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        _detach(module)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CtaiError(f"the adapter {folder} does not fit this model: {reason[:200]}") from error
    return adapted


def _check_tensors(adapted: Any, weights: Path) -> None:
    """Check that every adapter tensor comes from the file; a missing one would leave the base weights in its place."""
    with safe_open(weights, framework="pt") as file:
        stored = set(file.keys())
    expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    if stored != expected:
        mismatched = sorted(stored ^ expected)
        raise ValueError(f"{len(mismatched)} of its tensors do not match its configuration, such as {mismatched[0]}")


def _detach(module: Any) -> None:
    """Restore the base layers and delete the adapter configuration.

    `PeftModel.unload` restores the layers only after a complete attachment and never deletes the configuration.
    """
    for name, layer in list(module.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, layer.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config
