"""Lazy loading of the base model of a run and of its adapter, at the first computation.

A finished run that is started again must not load 65 GB to report that nothing is left to do: digests come from the
files, and the results of the checks from the record of gate contamination.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from ctai.config import ModelSettings
from ctai.errors import CtaiError
from ctai.model import hub, sources
from ctai.model.reference import ReferenceModel, require_base
from ctai.records import ModelProvenance

# Files of more bytes than this are announced before they are hashed.
_LARGE = 2e9


class LazyBaseModel:
    """Base model that is loaded at its first use, after `check` or `mark_passed`.

    Args:
        settings: settings of the model.
        notify: callback for progress messages before file operations that take minutes.
    """

    def __init__(self, settings: ModelSettings, notify: Callable[[str], None] = lambda text: None) -> None:
        self._settings = settings
        self._notify = notify
        self._loaded: Any = None
        self._provenance: ModelProvenance | None = None

    @cached_property
    def _source(self) -> sources.ModelSource:
        return _resolve(self._settings, self._notify)

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the current weight files."""
        return sources.weights_digest(self._source)

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 of all files in the model folder: an edited tokenizer or a new adapter makes another model."""
        return sources.files_digest(self._source)

    def check(self) -> Any:
        """Load the model, run every check including the sentinels, and return a `ctai.model.loader.ModelCheck`."""
        result = self._loader().check()
        self._loaded = result.model
        return result

    def mark_passed(self, provenance: ModelProvenance) -> None:
        """Record that gate contamination has passed, with the provenance of the checked model.

        Raises:
            ContaminationError: the record is that of a reference model.
            CtaiError: the weights on this disk are not those that passed.
        """
        require_base(provenance)
        if provenance.weights_digest != self.weights_digest:
            raise self._model_changed("weights")
        self._provenance = provenance

    @property
    def is_passed(self) -> bool:
        """True after `mark_passed`."""
        return self._provenance is not None

    def _model_changed(self, what: str) -> CtaiError:
        name = self._settings.name
        return CtaiError(f"the {what} of {name} are not those that gate contamination passed; run all gates again")

    @property
    def provenance(self) -> ModelProvenance:
        """Provenance of the model that gate contamination passed.

        Raises:
            CtaiError: the gate has not passed yet.
        """
        if self._provenance is None:
            raise CtaiError("the base model was used before gate contamination passed")
        return self._provenance

    @property
    def clean(self) -> Any:
        """`CleanModel`, loaded at the first use without the sentinels: gate contamination ran them on these weights.

        Raises:
            CtaiError: the model is not the one that the gate passed.
        """
        if self._loaded is None:
            loaded = self._loader().load(sentinels=False)
            if loaded.provenance.identity() != self.provenance.identity():
                raise self._model_changed("weights, tokenizer or precision")
            self._loaded = loaded
        return self._loaded

    def release(self) -> None:
        """Free the memory of the model; the next use loads it again.

        Each worker loads its own model, and one of them gets the GPU of this one.
        """
        if self._loaded is None:
            return
        self._loaded = None
        _free_memory(self._settings.device)

    @property
    def engine(self) -> Any:
        """Engine of the base arm."""
        return self.clean.engine

    @property
    def module(self) -> Any:
        """Transformers module, for training."""
        return self.clean.module

    @property
    def tokenizer(self) -> Any:
        """Tokenizer without its chat template."""
        return self.clean.tokenizer

    def _loader(self) -> Any:
        return _loader(self._settings)


class LazyReferenceModel:
    """Reference model that is loaded at its first use, while the base is not in memory.

    Args:
        settings: settings of the reference model.
        base: base of the run, which is released first.
        notify: callback for progress messages before file operations that take minutes.
    """

    def __init__(
        self, settings: ModelSettings, base: LazyBaseModel, notify: Callable[[str], None] = lambda text: None
    ) -> None:
        self._settings, self._base, self._notify = settings, base, notify
        self._loaded: ReferenceModel | None = None
        self._known: ModelProvenance | None = None

    @cached_property
    def _source(self) -> sources.ModelSource:
        return _resolve(self._settings, self._notify)

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 of all files in the model folder."""
        return sources.files_digest(self._source)

    def mark_known(self, provenance: ModelProvenance) -> None:
        """Use the provenance of an earlier loading of the same files, so that reused answers need no loading."""
        self._known = provenance

    @property
    def provenance(self) -> ModelProvenance:
        """Provenance; loads the model unless it is known."""
        return self._known or self._model.provenance

    @property
    def engine(self) -> Any:
        """Engine, loaded at the first use."""
        return self._model.engine

    @property
    def _model(self) -> ReferenceModel:
        if self._loaded is None:
            self._base.release()
            self._loaded = _loader(self._settings).load_reference()
        return self._loaded

    def release(self) -> None:
        """Free the memory of the model."""
        if self._loaded is not None:
            self._loaded = None
            _free_memory(self._settings.device)


def _resolve(settings: ModelSettings, notify: Callable[[str], None]) -> sources.ModelSource:
    """Resolve a model to files on this disk; downloads and long hashing are announced."""
    name, revision = settings.name, settings.revision
    location = sources.locate(name, revision)
    if location.missing_bytes:
        notify(f"downloading {name}, about {location.missing_bytes / 1e9:.1f} GB, to {hub.cache_folder()}")
    source = sources.resolve_model(name, revision)
    if location.total_bytes > _LARGE:
        notify(f"hashing {name}, about {location.total_bytes / 1e9:.1f} GB")
    return source


def _free_memory(device: str) -> None:
    gc.collect()  # a 4-bit weight and its layer refer to each other
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()


def _loader(settings: ModelSettings) -> Any:
    with gc_disabled():
        from ctai.model.loader import CleanModelLoader

    return CleanModelLoader(
        settings.name,
        quantization=settings.quantization,
        device=settings.device,
        allow_bos=settings.allow_bos,
        revision=settings.revision,
        batch_size=settings.batch_size,
        batch_tokens=settings.batch_tokens,
    )


class LazyAdapterModel:
    """Base model with an adapter, attached at the first use of its engine and detached at the end of the block."""

    def __init__(self, base: LazyBaseModel, adapter: Path) -> None:
        self._base, self._adapter = base, adapter
        self._arm: Any = None
        from ctai.model.sources import adapter_digest

        self.provenance = base.provenance.model_copy(update={"adapter_digest": adapter_digest(adapter)})

    @property
    def engine(self) -> Any:
        """Engine of the adapted arm; its first use suspends the base arm."""
        if self._arm is None:
            self._arm = self._base.clean.with_adapter(self._adapter)
        return self._arm.engine

    def __enter__(self) -> "LazyAdapterModel":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._arm is not None:
            self._arm.unload()
            self._arm = None


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Disable garbage collection during the first import of torch, and freeze the imported objects afterwards.

    The import creates four thousand modules that all stay alive; collections that free nothing take a fifth of its time.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
