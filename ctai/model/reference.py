"""Reference model: an instruct model that only answers, as a yardstick for the test set, and the rule that it is no base.

Owns the type that the loader returns for it, and the refusal to generate, judge or train with it. Does not load it
(`ctai.model.loader`).
"""

from dataclasses import dataclass

from ctai.errors import ContaminationError
from ctai.model.protocols import TextEngine
from ctai.records import ModelProvenance


@dataclass(frozen=True)
class ReferenceModel:
    """A model in completion mode whose weights may be tuned; it has no module to train and takes no adapter.

    Attributes:
        engine: generation; prompts with chat-control tokens are refused.
        provenance: record of the files and the loading options; its `role` is `reference`.
    """

    engine: TextEngine
    provenance: ModelProvenance


def require_base(provenance: ModelProvenance) -> None:
    """Refuse a reference model where a base model is needed.

    Raises:
        ContaminationError: the model was loaded as a reference.
    """
    if provenance.role != "base":
        raise ContaminationError(
            f"{provenance.model_id} was loaded as a reference model and cannot be used as a base model: load a base model "
            "with CleanModelLoader.load()"
        )
