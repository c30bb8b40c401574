"""ctai: bootstrap an instruction-following model from a base model, with gates that are known to be right.

The names below are the public ones. They are imported on first use, so that `import ctai` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ctai.version import __version__ as __version__

if TYPE_CHECKING:
    from ctai.config import RunConfig
    from ctai.errors import ContaminationError, CtaiError
    from ctai.generate.critic import InstructionCritic
    from ctai.model.loader import CleanModelLoader
    from ctai.prompts import CompletionStylePrompts

_OWNERS = {
    "CleanModelLoader": "ctai.model.loader",
    "CompletionStylePrompts": "ctai.prompts",
    "InstructionCritic": "ctai.generate.critic",
    "RunConfig": "ctai.config",
    "CtaiError": "ctai.errors",
    "ContaminationError": "ctai.errors",
}

__all__ = [
    "CleanModelLoader",
    "CompletionStylePrompts",
    "ContaminationError",
    "CtaiError",
    "InstructionCritic",
    "RunConfig",
]


def __getattr__(name: str) -> Any:
    if name not in _OWNERS:
        raise AttributeError(f"module 'ctai' has no attribute {name!r}")
    return getattr(import_module(_OWNERS[name]), name)
