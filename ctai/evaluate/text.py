"""Files of a comparison: answers, summary, and the summary as a text table."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ctai.evaluate.claims import claim_sentence, rival_sentence
from ctai.records import EvaluationItem, EvaluationSummary, PairedComparison
from ctai.rundir import write_json, write_jsonl, write_text

OUTPUTS = ("base_items.jsonl", "sft_items.jsonl", "evaluation.json", "summary.txt")


def write_evaluation(
    base_items: Sequence[EvaluationItem],
    sft_items: Sequence[EvaluationItem],
    summary: EvaluationSummary,
    folder: Path,
) -> tuple[Path, ...]:
    """Write the answers of both arms, `evaluation.json` and `summary.txt` into a folder, and return their paths."""
    paths = tuple(folder / name for name in OUTPUTS)
    write_jsonl(paths[0], base_items)
    write_jsonl(paths[1], sft_items)
    write_json(paths[2], summary)
    write_text(paths[3], summary_text(summary))
    return paths


def summary_text(summary: EvaluationSummary) -> str:
    """Return the summary as a text table, with go or no go and the claim against the strongest rival first."""
    reasons = summary.metadata["no_go_reasons"]
    rows = {"content": summary.overall, "strict": summary.overall_strict}
    rows |= {f"  {kind} (content)": comparison for kind, comparison in summary.by_type.items()}
    rows |= {f"over {name}": rival.comparison for name, rival in summary.rivals.items()}
    rows |= {f"unseen, over {name}": rival.comparison for name, rival in summary.transfer.items()}
    head = f"{'':<26}{'n':>5}{'eff. n':>8}  {'rival':<21}{'sft':<21}{'lift':<25}{'p':>9}{'p adj.':>9}{'h':>7}"
    return "\n".join(
        [
            f"{'GO' if summary.go else 'NO GO'}: {claim_sentence(summary)}",
            *(f"  - {reason}" for reason in reasons),
            "",
            head,
            *(_row(name, comparison) for name, comparison in rows.items()),
            "",
            *_claim_lines(summary),
            "",
            "Base arms (success rate, 95% interval clustered by family)",
            *(f"  {name:<20}{value.text}" for name, value in summary.rates.items()),
            f"Answers of SFT ended by itself: {summary.stop_rate.text}",
            f"Correct answers of SFT ended by itself: {summary.strict_share.text}",
            f"Types surely worse than the few-shot base: {', '.join(summary.regressions) or 'none'}",
            f"Noise floor (base against base, other batches): {summary.noise_floor.text}",
            f"Largest difference of a log-probability between the arms: {summary.logit_difference:.3g}",
            *(f"Arm {name}: {digest}" for name, digest in summary.arms.items()),
            "",
        ]
    )


def _claim_lines(summary: EvaluationSummary) -> Iterator[str]:
    """Yield the claim against each rival, and the transfer to families that were held out whole."""
    for name, rival in summary.rivals.items():
        yield f"{rival_sentence(name, rival)}."
    if not summary.transfer:
        yield "Transfer to families held out whole: not applicable, the test set has none."
    for name, rival in summary.transfer.items():
        yield f"Transfer to families held out whole: {rival_sentence(name, rival)}."


def _row(name: str, c: PairedComparison) -> str:
    lift = f"{c.lift:+.3f} [{c.lift_interval.low:+.3f}, {c.lift_interval.high:+.3f}]"
    adjusted = "" if c.p_adjusted is None else f"{c.p_adjusted:.2g}"
    rates = f"{c.base.text:<21}{c.sft.text:<21}{lift:<25}"
    return f"{name:<26}{c.n:>5}{c.effective_n:>8.0f}  {rates}{c.p_value:>9.2g}{adjusted:>9}{c.cohens_h:>7.2f}"
