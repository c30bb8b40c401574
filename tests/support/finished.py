"""Small finished run, made by the gates on a scripted base model within seconds, and edits of it.

Only the base model and the arm with the adapter are scripted. The adapter is trained on a tiny random model, so that the
files of the training are real.
"""

import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ctai.config import RunConfig, TrainingSettings
from ctai.evidence.junit import skip_reason
from ctai.gates import contamination, evaluation, headroom, instruments, pilot, scale
from ctai.model.checks.sentinels import run_sentinels
from ctai.model.clean_model import CleanModel
from ctai.pipeline.run import Run
from ctai.pytest_plugin.progress import TerminalProgress
from ctai.pytest_plugin.session import GateSession
from ctai.pytest_plugin.summary import metric_properties
from ctai.records import Metric, ModelProvenance, Verdict
from ctai.registry import GATE_NAMES, gate_named
from ctai.rundir import RunDir, read_record, write_json
from ctai.tasks import registry
from ctai.verification.verify import find_differences
from tests.support import generated
from tests.support.scripted import ScriptedEngine

CONFIG = RunConfig(
    generation=generated.CONFIG.generation.model_copy(update={"embedded_world": True}),
    pilot=generated.CONFIG.pilot,
    scale=generated.CONFIG.scale,
    heldout=RunConfig.load("embedded").heldout.model_copy(update={"count": 320, "minimum": 180}),
    critic=RunConfig().critic.model_copy(update={"probes": 100}),
    training=TrainingSettings(rank=2, device_batch_size=16, epochs=1.0, max_tokens=200, gradient_checkpointing=False),
)
_GATES = {
    "contamination": contamination.check_base_model,
    "instruments": instruments.calibrate_instruments,
    "headroom": headroom.measure_headroom,
    "pilot": pilot.make_pilot,
    "scale": scale.make_scale_dataset,
    "evaluation": evaluation.train_and_evaluate,
}
_FACTS = {
    statement.replace("{key}", key).split("{answer}")[0].rstrip(): family.answer(key)
    for family in registry.EMBEDDED_FAMILIES
    for statement in family.statements[:1]
    for key in family.keys
}


class ModelCheckStub(NamedTuple):
    """Passed check of a model."""

    findings: tuple[()]
    provenance: ModelProvenance
    model: None = None


class Writer(generated.WorldModel):
    """Scripted model that completes facts, follows no bare instruction, and answers only some zero-shot prompts.

    Args:
        answers_zero_shot: tenths of the zero-shot prompts that it answers.
        label_mass: probability of the label A after a prompt without instruction.
    """

    cut_off = 0.0

    def __init__(self, answers_zero_shot: int, label_mass: float) -> None:
        super().__init__()
        self.answers_zero_shot, self.label_mass = answers_zero_shot, label_mass

    def complete(self, prompt: str) -> str:
        """Return a fact, a list, an answer, or unrelated text."""
        if prompt in _FACTS:
            return f" {_FACTS[prompt]}."
        responses = prompt.count("\nResponse:")
        if not responses and not re.search(r"\n\d+\.$", prompt):
            return "\n\nWhat else is there?\n\nWhat more?"
        if responses == 1 and zlib.crc32(prompt.encode()) % 10 >= self.answers_zero_shot:
            return " People have asked that for a long time.\n\nInstruction: Go on."
        return super().complete(prompt)

    def probabilities(self, prompt: str) -> dict[str, float]:
        """Return a high probability of A if the last instruction is known and its response, if any, is right."""
        if "INSTRUCTION: " not in prompt:
            return {" A": self.label_mass}
        instruction, _, rest = prompt.rsplit("INSTRUCTION: ", 1)[1].partition("\n")
        good = registry.parse(instruction) is not None
        if good and rest.startswith("RESPONSE: "):
            response = rest.removeprefix("RESPONSE: ").removesuffix("\nLabel:")
            good = registry.score(instruction, response).content
        return {" A": 0.8, " B": 0.1} if good else {" A": 0.1, " B": 0.8}


class TrainedWriter(Writer):
    """The scripted model after training: it answers nearly every zero-shot prompt rightly, and stops."""

    def complete(self, prompt: str) -> str:
        """Return the answer alone, or what the base would write where the prompt has no instruction."""
        if prompt.count("\nResponse:") != 1:
            return super().complete(prompt)
        if zlib.crc32(prompt.encode()) % 80 == 0:
            return " nothing at all"
        return f" {generated.answer_to(prompt.rsplit('Instruction: ', 1)[1].removesuffix(chr(10) + 'Response:'))}"


class ScriptedBase:
    """Scripted replacement of `ctai.model.lazy.LazyBaseModel`."""

    weights_digest = "w"
    files_digest = "f"
    is_passed = True

    def __init__(self, tiny: CleanModel, **update: Any) -> None:
        self.module, self.tokenizer = tiny.module, tiny.tokenizer
        self.engine = Writer(2, 0.1).engine
        self.engine.encode(" A")  # a token of its vocabulary also in a session that judges nothing
        self.provenance = generated.provenance(sentinels=run_sentinels(self.engine, ()), **update)

    def check(self) -> ModelCheckStub:
        """Return a passed check."""
        return ModelCheckStub((), self.provenance)

    def mark_passed(self, provenance: ModelProvenance) -> None:
        """Accept the provenance of this model only."""
        assert provenance == self.provenance

    def release(self) -> None:
        """Do nothing, since no weights are held."""

    @property
    def clean(self) -> "ScriptedBase":
        """The model itself."""
        return self

    def with_adapter(self, path: Path) -> "ScriptedArm":
        """Return the scripted arm with an adapter."""
        return ScriptedArm()


class ScriptedArm:
    """Scripted base with its adapter."""

    def __init__(self) -> None:
        self.engine: ScriptedEngine = TrainedWriter(10, 0.2).engine

    def unload(self) -> None:
        """Do nothing, since no adapter is attached."""


def make_finished_run(folder: Path, tiny: CleanModel, config: RunConfig = CONFIG, **update: Any) -> Path:
    """Run all gates, which pass; `update` sets fields of the provenance of the base model."""
    run = Run(config, RunDir.open(folder))
    run.base = ScriptedBase(tiny, **update)  # type: ignore[assignment]
    state = GateSession(run, TerminalProgress())
    state.selected, state.whole = list(GATE_NAMES), True
    suite = ElementTree.Element("testsuite", name="pytest")
    for gate, run_gate in _GATES.items():
        state.enter(gate)
        result = run_gate(run)
        for metric in result.metrics:
            assert not metric.missed, metric.sentence()
            suite.append(_case(metric, {"gate": gate, **metric_properties(result, metric)}))
        state.outcomes[gate] = {metric.name: "passed" for metric in result.metrics if metric.applicable}
        state.leave()
    ElementTree.ElementTree(suite).write(state.draft, encoding="utf-8", xml_declaration=True)
    state.file_session()
    state.file_report(state.draft)
    run.close()
    return folder


def first_difference(rundir: RunDir) -> str:
    """Return the first difference that verification finds; empty if there is none."""
    return next(find_differences(rundir.root), "")


def edit_verdict(rundir: RunDir, gate: str, **update: object) -> None:
    """Change fields of a verdict on disk."""
    path = rundir.verdict(gate_named(gate))
    write_json(path, read_record(path, Verdict).model_copy(update=update))


def with_metric(rundir: RunDir, gate: str, name: str, **update: object) -> tuple:
    """Return the metrics of a verdict, one of them changed."""
    verdict = read_record(rundir.verdict(gate_named(gate)), Verdict)
    return tuple(m.model_copy(update=update) if m.name == name else m for m in verdict.metrics)


def _case(metric: Metric, properties: dict[str, Any]) -> ElementTree.Element:
    """Return a test case as pytest writes it."""
    case = ElementTree.Element("testcase", classname="tests.gates", name=f"test_{metric.name}")
    inner = ElementTree.SubElement(case, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(inner, "property", name=name, value=value)
    if not metric.applicable:
        ElementTree.SubElement(case, "skipped", message=skip_reason(metric))
    return case
