"""Concerns with one owner each: their finders, and the modules that are allowed to do the same, each with its reason."""

from collections.abc import Mapping
from typing import NamedTuple

from ctai.provenance.canonical_use.finders import Finder, chat, label_scoring, loading, prompt_text, statistics, writing


class Concern(NamedTuple):
    """A concern that one place owns.

    Attributes:
        name: noun phrase that a message opens with.
        finders: functions that yield the nodes of a module that belong to the concern.
        remedy: imperative that a message ends with.
        allowed: path of a module, or of a folder with `/` at its end, to the reason why it may do this.
    """

    name: str
    finders: tuple[Finder, ...]
    remedy: str
    allowed: Mapping[str, str]

    def allows(self, path: str) -> bool:
        """Tell whether a module is allowed to do this."""
        return any(covers(entry, path) for entry in self.allowed)


def covers(entry: str, path: str) -> bool:
    """Tell whether an entry of an allow-list is about a module."""
    return path == entry or (entry.endswith("/") and path.startswith(entry))


_FINDERS = "ctai/provenance/canonical_use/finders/"
_SEARCHES = "holds the names that it searches for"
_BUILDER = "scripts/build_embedded/"

CONCERNS = (
    Concern(
        "model loading",
        loading.FINDERS,
        "load models with ctai.CleanModelLoader",
        {
            "ctai/model/loader.py": "owner",
            "ctai/model/clean_model.py": "owner: attaches adapters to a loaded model",
            "ctai/train/checkpoint.py": "reads back the checkpoints of the same training run",
            _BUILDER: "trains the embedded model from nothing and measures what the loader would refuse",
            "scripts/false_passes.py": "makes a contaminated model of the one it is given",
            "benchmarks/critic.py": "lm-evaluation-harness is a peer, around the model that ctai loaded",
            "benchmarks/deep.py": "makes a deeper model of the embedded one, for the loader to load",
            "benchmarks/shapes.py": "makes models of random weights, read with the loader's options",
            "benchmarks/training.py": "copies the loaded model for its peer, TRL",
            _FINDERS: _SEARCHES,
        },
    ),
    Concern(
        "chat template",
        chat.FINDERS,
        "send plain text in completion mode",
        {
            "ctai/model/chat_template.py": "owner: removes the template and makes its use raise",
            _BUILDER: "gives the embedded model a template, so that gates have one to remove",
            _FINDERS: _SEARCHES,
        },
    ),
    Concern(
        "prompt text",
        prompt_text.FINDERS,
        "build prompts with ctai.prompts.CompletionStylePrompts",
        {
            "ctai/prompts.py": "owner",
            "ctai/model/checks/contamination.py": "counts the tokens of texts in several forms; no model reads them",
            _BUILDER: "writes the corpus of the embedded model and the forms of its contaminated controls",
        },
    ),
    Concern(
        "label scoring",
        label_scoring.FINDERS,
        "judge with ctai.InstructionCritic",
        {
            "ctai/generate/critic.py": "owner",
            "ctai/generate/critic_calibration.py": "compares the critic's labels with those of probes",
            "ctai/prompts.py": "owner of the labels' letters",
            "ctai/tasks/probes.py": "states which label a probe deserves",
            "ctai/tasks/seeds.py": "states which label a few-shot example deserves",
            "ctai/model/inference/": "the engine, which all log-probabilities come from",
            "ctai/model/checks/sentinels.py": "asks for the probability of control tokens",
            "ctai/evaluate/arms.py": "compares two arms over the whole vocabulary",
            _BUILDER: "measures the embedded model while it is trained, before the loader knows it",
            "benchmarks/critic.py": "compares the critic's log-probabilities with those of its peers",
            "benchmarks/shape_parts.py": "times the engine's log-probabilities of two tokens",
            _FINDERS: _SEARCHES,
        },
    ),
    Concern(
        "statistics",
        statistics.FINDERS,
        "call ctai.statistics",
        {
            "ctai/statistics/": "owner",
            "benchmarks/shape_parts.py": "medians of measured times, from which nothing is inferred",
        },
    ),
    Concern(
        "file writing",
        writing.FINDERS,
        "write files with ctai.rundir",
        {
            "ctai/rundir/": "owner",
            "ctai/model/loader.py": "transformers writes the sharded weights of a merged model itself",
            _BUILDER: "writes the embedded model's folder, which is no run directory",
            "scripts/false_passes.py": "copies run directories in order to damage the copies",
            "benchmarks/deep.py": "transformers writes the weights of the deeper model itself",
        },
    ),
)
