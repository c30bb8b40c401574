"""The page: what the other modules found, put into the templates; one file that needs nothing else."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ctai.records import EvaluationItem, SentinelResult
from ctai.report import data, evaluation, origin, outcome, text
from ctai.report.source import GenerationData, RunReader

_SENTINELS_SHOWN = 40
_ARMS = {"base": "base, zero-shot", "base_few_shot": "base with few-shot examples"}


def render(source: RunReader) -> str:
    """The whole page as HTML. Equal run directories give equal pages."""
    views = outcome.gate_views(source)
    run = origin.run_facts(source)
    context: dict[str, Any] = {
        "style": Markup((files("ctai.report") / "templates" / "style.css").read_text(encoding="utf-8")),
        "run": run,
        "views": views,
        "gates": {view.spec.name: view for view in views},
        "headline": outcome.headline(views),
        **_model(source),
        **_data(source, run.seed),
        **_evaluation(source),
        **_origin(source),
        "reviews": source.reviews,
    }
    return _templates().get_template("page.html.j2").render(context, problems=source.problems)


def _templates() -> Environment:
    """Every value in a template is escaped, and its hidden characters are shown, without being asked."""
    environment = Environment(
        loader=PackageLoader("ctai.report"),
        autoescape=True,
        finalize=text.shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("shown", "inline", "plain", "number", "signed", "percent", "share", "digest", "words")
    environment.filters |= {name: getattr(text, name) for name in names}
    environment.filters["interval"] = evaluation.interval_words
    return environment


def _model(source: RunReader) -> dict[str, Any]:
    """Gates 1 and 2a: what the sentinels saw, how good the critic is."""
    report = source.examination
    provenance = report.provenance if report else None
    sentinels = provenance.sentinels if provenance else None
    results = sentinels.results if sentinels else ()
    return {
        "findings": report.findings if report else (),
        "examined": report is not None,
        "model_facts": origin.model_facts(provenance) if provenance else (),
        "sentinels": sentinels,
        "sentinel_plot": evaluation.sentinel_plot(sentinels) if sentinels else None,
        "sentinel_results": _telling(results),
        "sentinels_left_out": max(0, len(results) - _SENTINELS_SHOWN),
        "calibrations": {
            kind: (calibration, evaluation.calibration_plot(calibration))
            for kind, calibration in source.calibrations.items()
        },
        "scorers": source.scorers,
        "scorer_plot": evaluation.dot_plot(source.scorers.by_kind) if source.scorers else None,
        "detectors": source.detectors,
        "detector_plots": evaluation.detector_plots(source.detectors) if source.detectors else {},
        "heldout_types": _counted(item.type for item in source.heldout),
    }


def _telling(results: tuple[SentinelResult, ...]) -> list[SentinelResult]:
    """The sentinels that did not pass, then others of every kind, so that both behaviours can be read."""
    kinds: dict[str, list[SentinelResult]] = {}
    for result in results:
        kinds.setdefault(result.kind, []).append(result)
    room = _SENTINELS_SHOWN // max(len(kinds), 1)
    return [one for some in kinds.values() for one in sorted(some, key=lambda result: result.passed)[:room]]


def _counted(values: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _data(source: RunReader, seed: int) -> dict[str, Any]:
    """Gates 2b and 3: funnels, distributions, repetitions, samples."""
    batches = {"pilot": source.pilot, "scale": source.scale}
    last = source.scale or source.pilot
    examples = source.dataset or (last.examples if last else [])
    return {
        "batches": {name: _batch(source, batch) for name, batch in batches.items() if batch is not None},
        "ladder": source.ladder.attempts if source.ladder else (),
        "random_examples": data.random_examples(examples, seed),
        "least_certain": data.least_certain(examples),
        "lost_samples": data.lost_samples(last, seed) if last else (),
        "example_count": len(examples),
    }


def _batch(source: RunReader, batch: GenerationData) -> dict[str, Any]:
    config = source.session.config if source.session else {}
    limits = {m.name: m.threshold for m in batch.summary.thresholds} if batch.summary else {}
    return {
        "folders": batch.folders,
        "funnel": data.funnel(batch),
        "margins": data.margins(batch.rounds, _confident(config)),
        "lengths": data.lengths(batch.rounds, limits.get("median_tokens")),
        "repetitions": data.repetitions(batch),
        "summary": batch.summary,
    }


def _confident(config: dict[str, Any]) -> float:
    """The margin from which the critic counts as confident."""
    critic = config.get("critic")
    margin = critic.get("confident_margin") if isinstance(critic, dict) else None
    return float(margin) if isinstance(margin, int | float) and margin > 0 else 1.0


def _evaluation(source: RunReader) -> dict[str, Any]:
    """Gates 4a and 4b."""
    attempts = source.attempts
    judged = next((one for one in reversed(attempts) if one.summary), attempts[-1] if attempts else None)
    summary = judged.summary if judged else None
    base = {label: source.base_arm(arm) for arm, label in _ARMS.items()}
    return {
        "attempts": attempts,
        "judged": judged,
        "summary": summary,
        "paired": evaluation.paired(summary.overall) if summary else None,
        "paired_strict": evaluation.paired(summary.overall_strict) if summary else None,
        "forest": evaluation.forest(summary) if summary else None,
        "arms": evaluation.arms(summary) if summary else None,
        "no_go_reasons": _texts(summary.metadata.get("no_go_reasons")) if summary else [],
        "headroom": {
            label: (sum(item.content for item in items), len(items)) for label, items in base.items() if items
        },
        "loss": evaluation.loss(judged.steps) if judged else None,
        "failed": _failed(judged.base_items, judged.sft_items) if judged else {},
        "failed_shown": evaluation.FAILED_SHOWN,
        "failed_open": evaluation.FAILED_OPEN,
    }


def _failed(base: list[EvaluationItem], sft: list[EvaluationItem]) -> dict[str, list[evaluation.FailedAnswer]]:
    return evaluation.failed_answers(base, sft) if sft else {}


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def _origin(source: RunReader) -> dict[str, Any]:
    session = source.session
    return {
        "session": session,
        "code_facts": origin.code_facts(session.environment) if session else (),
        "config_facts": origin.config_facts(session.config) if session else [],
        "chain": origin.chain_of(source),
        "times": origin.times(session) if session else None,
        "costs": origin.costs(source.ledger) if source.ledger else None,
        "preregistration": source.preregistration,
    }
