"""Recomputation of gate contamination: the sentinel suite on recorded answers in place of a model."""

from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ctai.errors import CtaiError
from ctai.model.checks.sentinels import run_sentinels, sentinel_findings
from ctai.records import Completion, ContaminationFinding, ContaminationReport, Sampling, SentinelReport, SentinelResult
from ctai.rundir.diff import differences

_WROTE_CONTROL = "wrote a chat-control token"
_ORDINARY_TOKEN = -1
_FROM_SENTINELS = ("instruct_weights", "language_model")


class RecordedEngine:
    """`TextEngine` that returns the recorded answers of the sentinel suite, with the methods that the suite needs.

    Token ids are not stored, so a control token at the end of an answer is taken from its record.

    Args:
        results: recorded results of the suite.
        control_ids: chat-control tokens of the tokenizer.
    """

    def __init__(self, results: Sequence[SentinelResult], control_ids: Sequence[int]) -> None:
        self._written = {result.prompt: result for result in results if result.kind != "control_token"}
        self._masses = {result.prompt: result.value for result in results if result.kind == "control_token"}
        self._control = tuple(control_ids)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int] | None = None
    ) -> list[Completion]:
        """Return the recorded answer to each prompt; sampling and seeds are ignored.

        Raises:
            CtaiError: no answer to a prompt is recorded.
        """
        return [self._completion(prompt) for prompt in prompts]

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Return rows of log-probabilities with the recorded sum, all of it on the first token."""
        rows = np.full((len(prompts), len(token_ids)), -np.inf)
        if token_ids:
            with np.errstate(divide="ignore"):
                rows[:, 0] = np.log([self._mass(prompt) for prompt in prompts])
        return rows

    def encode(self, text: str) -> NoReturn:
        """Raise NotImplementedError, since records hold no tokens."""
        raise NotImplementedError("records hold no tokens")

    def encode_batch(self, texts: Sequence[str]) -> NoReturn:
        """Raise NotImplementedError, since records hold no tokens."""
        raise NotImplementedError("records hold no tokens")

    def count_prompt_tokens(self, prompts: Sequence[str]) -> NoReturn:
        """Raise NotImplementedError, since records hold no tokens."""
        raise NotImplementedError("records hold no tokens")

    @property
    def context_length(self) -> NoReturn:
        """Context length, which raises NotImplementedError since records hold none."""
        raise NotImplementedError("records hold no tokens")

    @property
    def batch_splits(self) -> int:
        """Number of batches that were split: none."""
        return 0

    def _completion(self, prompt: str) -> Completion:
        result = self._written.get(prompt)
        if result is None or result.finish_reason is None:
            raise CtaiError(f"no answer to the sentinel prompt {prompt[:60]!r} is recorded")
        ended = bool(self._control) and result.detail.endswith(_WROTE_CONTROL)
        return Completion(
            text=result.response,
            raw=result.response,
            token_ids=(self._control[0] if ended else _ORDINARY_TOKEN,),
            finish_reason=result.finish_reason,
        )

    def _mass(self, prompt: str) -> float:
        if prompt not in self._masses:
            raise CtaiError(f"no control-token mass after the sentinel prompt {prompt[:60]!r} is recorded")
        return self._masses[prompt]


def recompute_model_check(stored: ContaminationReport) -> ContaminationReport:
    """Recompute the sentinels in the record of a model check; findings on files and tokenizer are taken as recorded.

    Raises:
        CtaiError: an answer to a prompt of the suite is not recorded.
    """
    provenance = stored.provenance
    if provenance is None or provenance.sentinels is None:
        return stored
    control = provenance.control_token_ids
    sentinels = run_sentinels(RecordedEngine(provenance.sentinels.results, control), control)
    file_findings = [finding for finding in stored.findings if finding.name not in _FROM_SENTINELS]
    findings = [ContaminationFinding(name=f.name, message=f.message) for f in sentinel_findings(sentinels)]
    update = {"sentinels": sentinels}
    return stored.model_copy(
        update={"findings": (*file_findings, *findings), "provenance": provenance.model_copy(update=update)}
    )


def model_check_differences(stored: ContaminationReport, recomputed: ContaminationReport, where: str) -> Iterator[str]:
    """Yield where the record of a model check does not follow from the recorded answers."""
    yield from differences(_sentinels(stored), _sentinels(recomputed), f"{where} sentinels")
    for name in _FROM_SENTINELS:
        before, after = ([f.message for f in r.findings if f.name == name] for r in (stored, recomputed))
        yield from differences(before, after, f"{where} findings {name}")


def _sentinels(report: ContaminationReport) -> SentinelReport | None:
    return report.provenance.sentinels if report.provenance else None
