"""The base model of a run, loaded only when something really has to be computed with it.

A finished run that is started again must not load 65 GB to say that nothing has to be done: digests come from the files,
and what the checks said comes from gate 1's record.
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
from ctai.records import ModelProvenance

# Bytes that take longer to read than a reader wonders what is going on.
_LARGE = 2e9


class LazyBaseModel:
    """A base model by its settings; `examine` or `provenance` must have been set before it is used.

    Args:
        settings: which model.
        say: is told before something is done to its files that takes minutes.
    """

    def __init__(self, settings: ModelSettings, say: Callable[[str], None] = lambda text: None) -> None:
        self._settings = settings
        self._say = say
        self._loaded: Any = None
        self._provenance: ModelProvenance | None = None

    @cached_property
    def _source(self) -> sources.ModelSource:
        name, revision = self._settings.name, self._settings.revision
        found = sources.locate(name, revision)
        if found.missing:
            self._say(f"downloading {name}, about {found.missing / 1e9:.1f} GB, to {hub.cache_folder()}")
        source = sources.resolve(name, revision)
        if found.whole > _LARGE:
            self._say(f"hashing {name}, about {found.whole / 1e9:.1f} GB")
        return source

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the weight files, as they are now."""
        return sources.weights_digest(self._source)

    @cached_property
    def files_digest(self) -> str:
        """SHA-256 of all that lies beside the weights too: an edited tokenizer or a new adapter is another model."""
        return sources.files_digest(self._source)

    def examine(self) -> Any:
        """Load the model and run every check, the sentinels included: a `ctai.model.loader.ModelCheck`."""
        examination = self._loader().examine()
        self._loaded = examination.model
        return examination

    def passed(self, provenance: ModelProvenance) -> None:
        """Say that gate 1 has passed, for which weights, and what its checks said.

        Raises:
            CtaiError: the weights on this disk are not those that passed.
        """
        if provenance.weights_digest != self.weights_digest:
            raise self._other_model("weights")
        self._provenance = provenance

    @property
    def is_passed(self) -> bool:
        """Whether it is known what gate 1 said."""
        return self._provenance is not None

    def _other_model(self, what: str) -> CtaiError:
        name = self._settings.name
        return CtaiError(f"the {what} of {name} are not those that gate contamination passed; run all gates again")

    @property
    def provenance(self) -> ModelProvenance:
        """What was loaded, how, and what the checks said when gate 1 passed."""
        if self._provenance is None:
            raise CtaiError("the base model was used before gate contamination passed")
        return self._provenance

    @property
    def clean(self) -> Any:
        """The `CleanModel`; loaded at the first use, without the sentinels that gate 1 has run on the same weights."""
        if self._loaded is None:
            loaded = self._loader().load(sentinels=False)
            if loaded.provenance.identity() != self.provenance.identity():
                raise self._other_model("weights, tokenizer or precision")
            self._loaded = loaded
        return self._loaded

    def release(self) -> None:
        """Give the memory back; what is needed later is loaded again.

        Workers bring a model each, and one of them gets the GPU that this one lies on.
        """
        if self._loaded is None:
            return
        self._loaded = None
        gc.collect()  # a 4-bit weight and its layer know each other
        if self._settings.device == "cuda":
            import torch

            torch.cuda.empty_cache()

    @property
    def engine(self) -> Any:
        """The engine of the base arm."""
        return self.clean.engine

    @property
    def module(self) -> Any:
        """The transformers module, for training."""
        return self.clean.module

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, without its chat template."""
        return self.clean.tokenizer

    def _loader(self) -> Any:
        with gc_disabled():
            from ctai.model.loader import CleanModelLoader

        settings = self._settings
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
    """A base model with an adapter, attached at the first use of its engine and taken off at the end of the block."""

    def __init__(self, base: LazyBaseModel, adapter: Path) -> None:
        self._base, self._adapter = base, adapter
        self._arm: Any = None
        from ctai.model.sources import adapter_digest

        self.provenance = base.provenance.model_copy(update={"adapter_digest": adapter_digest(adapter)})

    @property
    def engine(self) -> Any:
        """The engine of this arm; the base arm refuses its calls from now on."""
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
    """Collect no garbage where torch is imported for the first time, and never look at what that makes again.

    Four thousand modules are made, and all stay; a fifth of the time goes into collections that find nothing.
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
