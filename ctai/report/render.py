"""Rendering of the report: template context and Jinja environment; the result is one self-contained HTML file."""

from collections import Counter
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ctai.config import HeldoutSettings
from ctai.evaluate.arms import content_rate
from ctai.records import Rate, SentinelResult
from ctai.report import evaluation, generation, outcome, provenance, purity, text
from ctai.rundir.reader import GenerationData, RunReader

_MAX_SENTINELS = 40
_ARMS = {
    "base_raw": "base, bare instruction",
    "base": "base, training prompt",
    "base_few_shot": "base, few-shot examples",
    "base_restyled": "base, restyled prompt",
    "reference": "reference model, training prompt",
}


def render_report(reader: RunReader) -> str:
    """Render the report as HTML. Equal run directories give equal reports."""
    views = outcome.gate_views(reader)
    identity = provenance.run_identity(reader)
    context: dict[str, Any] = {
        "style": Markup((files("ctai.report") / "templates" / "style.css").read_text(encoding="utf-8")),
        "run": identity,
        "views": views,
        "gates": {view.spec.name: view for view in views},
        "headline": outcome.headline(views, reader.session_log.failed_tests if reader.session_log else {}),
        **_model_context(reader),
        **_generation_context(reader, identity.seed),
        **_evaluation_context(reader),
        **_provenance_context(reader),
        "reviews": reader.reviews,
    }
    return _templates().get_template("report.html.j2").render(context, problems=reader.problems)


def _templates() -> Environment:
    """Return a Jinja environment that escapes every value and labels its hidden characters."""
    environment = Environment(
        loader=PackageLoader("ctai.report"),
        autoescape=True,
        finalize=text.to_markup,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markup": text.to_markup,
        "inline": text.to_inline_markup,
        "plain": text.to_plain_text,
        "number": text.format_number,
        "signed": text.format_signed,
        "percent": text.format_percent,
        "interval": text.format_interval,
        "ratio": text.ratio,
        "digest": text.short_digest,
        "humanize": text.humanize,
    }
    return environment


def _model_context(reader: RunReader) -> dict[str, Any]:
    """Return the context of gates contamination and instruments: sentinels and calibrations."""
    report = reader.contamination
    model = report.provenance if report else None
    sentinels = model.sentinels if model else None
    results = sentinels.results if sentinels else ()
    return {
        "findings": report.findings if report else (),
        "has_contamination_report": report is not None,
        "model_fields": provenance.model_fields(model) if model else (),
        "sentinels": sentinels,
        "sentinel_plot": evaluation.sentinel_plot(sentinels) if sentinels else None,
        "sentinel_results": _select_sentinels(results),
        "omitted_sentinels": max(0, len(results) - _MAX_SENTINELS),
        "calibrations": {
            kind: (calibration, evaluation.calibration_plot(calibration))
            for kind, calibration in reader.critic_calibrations.items()
        },
        "scorers": reader.scorers,
        "scorer_plot": evaluation.dot_plot(reader.scorers.by_kind) if reader.scorers else None,
        "detectors": reader.detectors,
        "detector_plots": evaluation.detector_plots(reader.detectors) if reader.detectors else {},
        "heldout_types": dict(Counter(item.type for item in reader.heldout).most_common()),
    }


def _select_sentinels(results: tuple[SentinelResult, ...]) -> list[SentinelResult]:
    """Select sentinels of every kind, failed ones first."""
    kinds: dict[str, list[SentinelResult]] = {}
    for result in results:
        kinds.setdefault(result.kind, []).append(result)
    limit = _MAX_SENTINELS // max(len(kinds), 1)
    return [result for group in kinds.values() for result in sorted(group, key=lambda result: result.passed)[:limit]]


def _generation_context(reader: RunReader, seed: int) -> dict[str, Any]:
    """Return the context of gates pilot and scale: funnel, distributions, duplicates and samples."""
    generations = {"pilot": reader.pilot, "scale": reader.scale}
    last = reader.scale or reader.pilot
    examples = reader.dataset or (last.examples if last else [])
    return {
        "generations": {
            name: _generation(reader, records) for name, records in generations.items() if records is not None
        },
        "pilot_attempts": reader.pilot_history.attempts if reader.pilot_history else (),
        "random_examples": generation.sample_examples(examples, seed),
        "least_confident": generation.least_confident(examples),
        "rejection_samples": generation.sample_rejections(last, seed) if last else (),
        "example_count": len(examples),
    }


def _generation(reader: RunReader, records: GenerationData) -> dict[str, Any]:
    config = reader.session.config if reader.session else {}
    limits = {m.name: m.threshold for m in records.summary.thresholds} if records.summary else {}
    return {
        "folders": records.folders,
        "funnel": generation.build_funnel(records),
        "margins": generation.margin_charts(records.rounds, _confident_margin(config)),
        "lengths": generation.length_chart(records.rounds, limits.get("median_tokens")),
        "duplicates": generation.duplicate_clusters(records),
        "purity": purity.purity_view(records.summary.purity) if records.summary else None,
        "summary": records.summary,
    }


def _confident_margin(config: dict[str, Any]) -> float:
    """Return the margin in nats above which the critic is confident; 1.0 for a damaged configuration."""
    critic = config.get("critic")
    margin = critic.get("confident_margin") if isinstance(critic, dict) else None
    return float(margin) if isinstance(margin, int | float) and margin > 0 else 1.0


def _correlation(config: dict[str, Any]) -> float:
    """Return the preregistered intra-class correlation; the default for a damaged configuration."""
    heldout = config.get("heldout")
    value = heldout.get("intraclass_correlation") if isinstance(heldout, dict) else None
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    return HeldoutSettings().intraclass_correlation


def _evaluation_context(reader: RunReader) -> dict[str, Any]:
    """Return the context of gates headroom and evaluation, for the last evaluated attempt."""
    attempts = reader.attempts
    evaluated = (attempt for attempt in reversed(attempts) if attempt.summary)
    last = next(evaluated, attempts[-1] if attempts else None)
    summary = last.summary if last else None
    base: dict[str, Rate] = {
        label: content_rate(items, _correlation(reader.session.config if reader.session else {}))
        for arm, label in _ARMS.items()
        if (items := reader.base_arm(arm))
    }
    return {
        "attempts": attempts,
        "last_attempt": last,
        "summary": summary,
        "paired": evaluation.paired_table(summary.overall) if summary else None,
        "paired_strict": evaluation.paired_table(summary.overall_strict) if summary else None,
        "forest": evaluation.forest_plot(summary) if summary else None,
        "arms": evaluation.arm_plot(summary) if summary else None,
        "claims": evaluation.claims(summary) if summary else [],
        "no_go_reasons": _to_strings(summary.metadata.get("no_go_reasons")) if summary else [],
        "headroom": evaluation.dot_plot(base) if base else None,
        "loss": evaluation.loss_curve(last.steps, last.evaluations) if last else None,
        "failed": evaluation.failed_answers(last.base_items, last.sft_items) if last and last.sft_items else {},
        "max_failed": evaluation.MAX_FAILED_ANSWERS,
        "expanded_failed": evaluation.EXPANDED_FAILED_ANSWERS,
    }


def _to_strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _provenance_context(reader: RunReader) -> dict[str, Any]:
    session = reader.session
    return {
        "session": session,
        "environment_fields": provenance.environment_fields(session.environment) if session else (),
        "config_fields": provenance.config_fields(session.config) if session else [],
        "chain": provenance.verdict_chain(reader),
        "times": provenance.phase_times(session) if session else None,
        "costs": provenance.stage_costs(reader.ledger) if reader.ledger else None,
        "preregistration": reader.preregistration,
    }
