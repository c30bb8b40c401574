"""Generated records for tests of quality control and merge, and a scripted model that generates pilot shards."""

import random
import re
import string
from pathlib import Path

from ctai.config import GenerationSettings, PilotSettings, RunConfig, ScaleSettings
from ctai.generate.shard import ShardResult, ShardSpec, make_shard
from ctai.prompts import DELIMITER
from ctai.qc.summary import QcInput
from ctai.records import (
    Critique,
    Example,
    ExampleMetadata,
    GeneratedList,
    GeneratedResponse,
    GenerationRound,
    ModelProvenance,
    PromptFormatRates,
    Rejection,
    Sampling,
    SentinelReport,
)
from ctai.rundir import RunDir, read_jsonl
from ctai.statistics import rate
from ctai.tasks import registry
from ctai.tasks.heldout import build_heldout, is_heldout
from tests.support.context import stage_context
from tests.support.scripted import ScriptedEngine

# ---------------------------------------------------------------------------------------------------------- records


def critique(difference: float = 2.0) -> Critique:
    """A judgement with this logp_a - logp_b, at a margin of 1."""
    good = difference > 0
    return Critique(
        is_good=good,
        predicted_label="A" if good else "B",
        logp_a=-1.0 + difference,
        logp_b=-1.0,
        margin=abs(difference),
        confident=abs(difference) >= 1.0,
    )


def example(item: int, *, instruction: str = "", response: str = "Paris", shard: int = 0) -> Example:
    """A kept example; without an instruction it gets one that no other example has."""
    instruction = instruction or f"Name thing {item} of shard {shard}."
    metadata = ExampleMetadata(
        git_commit="c", git_dirty=False, loader_version="0", model="m", weights_digest="w", quantization="none",
        template_disabled=True, sentinel_tests_passed=True, stage="scale", shard=shard, item=item, seed=1,
        sampling=Sampling(), run_id="run", response_tokens=1,
    )  # fmt: skip
    return Example(
        instruction=instruction, response=response, prompt=f"Instruction: {instruction}\nResponse:",
        completion=f" {response}", finish_reason="stop", instruction_critique=critique(), pair_critique=critique(),
        metadata=metadata,
    )  # fmt: skip


def generated(item: int = 0, **update) -> GeneratedResponse:
    """A measured response without faults."""
    values = {
        "item": item, "tokens": 5, "finish_reason": "stop", "delimiter_found": True, "heuristic_cut": False,
        "faults": (), "raw_faults": (),
    }  # fmt: skip
    return GeneratedResponse(**{**values, **update})


def round_of(responses=(), instructions=(), pairs=(), shard: int = 0, number: int = 0) -> GenerationRound:
    """A round with these contents."""
    a_list = GeneratedList(prompt="1.", seed=0, raw=" Name a thing.", finish_reason="eos")
    return GenerationRound(
        shard=shard, round=number, lists=[a_list] * 8, list_lines=200, parsed=180,
        instruction_critiques=tuple(instructions), responses=tuple(responses), pair_critiques=tuple(pairs),
    )  # fmt: skip


def material(
    *, examples, rejections=(), rounds=None, overlapping=0, bad=("runaway", 0), out_of_budget=0, tokens=5,
    instructions=None, pairs=None,
) -> QcInput:  # fmt: skip
    """QC input of one round of 100 responses, some of them with a fault."""
    if rounds is None:
        fault, count = bad
        responses = [
            generated(
                i, tokens=tokens, faults=(fault,) if i < count else (),
                finish_reason="length" if i < out_of_budget else "stop",
            )
            for i in range(100)
        ]  # fmt: skip
        accepted = [critique()] * 60
        rounds = [round_of(responses, accepted if instructions is None else instructions,
                           accepted if pairs is None else pairs)]  # fmt: skip
    return QcInput(examples, rejections, rounds, overlapping)


def random_text(rng: random.Random, words: int) -> str:
    """Random words of two to eight lowercase letters."""
    return " ".join("".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 8))) for _ in range(words))


# ------------------------------------------------------------------------------------------------- a model that writes

CONFIG = RunConfig(
    generation=GenerationSettings(
        batch_size=32, list_examples=6, few_shot_examples=2, max_batches_per_item=6,
        instruction_sampling=Sampling(temperature=0.7, max_new_tokens=400, stop=("\n\n",)),
        response_sampling=Sampling(temperature=0.4, max_new_tokens=30, stop=("\nInstruction", "\n###", DELIMITER)),
    ),
    pilot=PilotSettings(count=100),
    scale=ScaleSettings(count=60, shards=2),
)  # fmt: skip
FAMILIES = [f for f in registry.EMBEDDED_FAMILIES if f.type != "list"]


def provenance(**update) -> ModelProvenance:
    """The provenance of a scripted model that passed gate contamination."""
    report = SentinelReport(
        completion_rate=rate(9, 10), followed_rate=rate(0, 10), followed_and_stopped_rate=rate(0, 10),
        prompt_formats=(PromptFormatRates(form="instruction_response", followed=rate(5, 10), stopped=rate(0, 5)),),
        control_token_mass=0.0, statistic="", instruct_weights=False, follows_instructions=False, reasons=(), results=(),
    )  # fmt: skip
    values = {
        "loader_version": "0", "requested": "scripted", "model_id": "scripted", "revision": None, "weights_digest": "w",
        "tokenizer_digest": "t", "architecture": "Scripted", "parameters": 0, "requested_quantization": "none",
        "quantization": "none", "double_quantization": False, "compute_dtype": "float32", "device": "cpu",
        "template_disabled": True, "template_was_present": False, "add_special_tokens": False, "bos_allowed": False,
        "special_token_delta": 0, "control_token_ids": (), "control_tokens": (), "sentinels": report,
    }  # fmt: skip
    return ModelProvenance(**{**values, **update})


def answer_to(instruction: str) -> str:
    """The correct answer to an instruction of an embedded family."""
    parsed = registry.parse(instruction)
    return registry.by_name(parsed[0]).answer(parsed[1]) if parsed else "I do not know"


class WorldModel:
    """A scripted model that generates instructions of the embedded families, and answers and judges most of them correctly.

    It also generates held-out instructions, duplicates and malformed text. Its output depends on the prompt alone.
    """

    cut_off = 0.01

    def __init__(self, **update) -> None:
        self.engine = ScriptedEngine(self.complete, self.probabilities)
        self.provenance = provenance(**update)
        self.interrupt_after: int | None = None
        self.calls = 0

    def complete(self, prompt: str) -> str:
        """A list of instructions, or a response."""
        self.calls += 1
        if self.interrupt_after is not None and self.calls > self.interrupt_after:
            raise KeyboardInterrupt
        rng = random.Random(prompt)
        if re.search(r"\n\d+\.$", prompt):
            return self.propose(rng)
        instruction = prompt.rsplit("Instruction: ", 1)[1].removesuffix("\nResponse:")
        return self.respond(instruction, rng)

    def propose(self, rng: random.Random) -> str:
        """Ten lines: instructions, one of them vague, and one line that is none."""
        lines = [rng.choice(FAMILIES).instruction(rng) for _ in range(8)]
        lines.append(rng.choice(["Do it somehow.", "Write the thing about that one."]))
        return (
            " " + "\n".join([lines[0], *(f"{i}. {text}" for i, text in enumerate(lines[1:], 8)), "And so on"]) + "\n\n"
        )

    def respond(self, instruction: str, rng: random.Random) -> str:
        """An answer; one in ten is wrong, and a few are cut off."""
        luck = rng.random()
        answer = (
            "nothing at all" if luck < 0.1 else "It is the" if luck < 0.1 + self.cut_off else answer_to(instruction)
        )
        return f" {answer}\n{DELIMITER}\n\nInstruction: Go on."

    def probabilities(self, prompt: str) -> dict[str, float]:
        """A is likely when a family parses the last instruction and its response, if there is one, is correct."""
        block = prompt.rsplit("INSTRUCTION: ", 1)[1]
        instruction, _, rest = block.partition("\n")
        good = registry.parse(instruction) is not None
        if rest.startswith("RESPONSE: "):
            good = rest.removeprefix("RESPONSE: ").removesuffix("\nLabel:") == answer_to(instruction)
        return {" A": 0.8, " B": 0.1} if good else {" A": 0.1, " B": 0.8}


def no_heldout(instruction: str) -> bool:
    """Whether an embedded family parses an instruction that is not held out."""
    parsed = registry.parse(instruction)
    return parsed is not None and not is_heldout(*parsed)


class CarelessModel(WorldModel):
    """A scripted model that leaves many answers unfinished."""

    cut_off = 0.1


# ------------------------------------------------------------------------------------------------------ a pilot shard

HELDOUT = build_heldout(1000, 0, embedded=True)
TARGET = 50


def make_pilot(root: Path, model: WorldModel | None = None, config: RunConfig = CONFIG, **update) -> ShardResult:
    """Generate a pilot shard in a run directory; `update` replaces fields of its specification."""
    rundir = RunDir.open(root)
    context = stage_context(rundir, config, update.pop("progress", None), update.pop("run_id", "run"))
    fields = {"stage": "pilot", "number": 0, "target": TARGET, "folder": rundir.pilot_dir, "heldout": HELDOUT}
    return make_shard(model or WorldModel(), context, ShardSpec(**{**fields, **update}))


def with_generation(**update) -> RunConfig:
    """The configuration of the scripted runs with other generation settings."""
    return CONFIG.model_copy(update={"generation": CONFIG.generation.model_copy(update=update)})


def read_rejections(root: Path) -> list[Rejection]:
    """The rejections of the pilot shard."""
    return read_jsonl(root / "artifacts/pilot/rejections.jsonl", Rejection)
