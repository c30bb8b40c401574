"""Gate 1 again: the sentinel suite run once more on what the model wrote then, in the place of the model."""

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
    """Answers the suite's prompts with the recorded answers; a `TextEngine` as far as the suite needs one.

    Token ids are not kept: that an answer ended with a control token is known from its record alone.

    Args:
        results: of the suite.
        control_ids: the chat-control tokens of the tokenizer.
    """

    def __init__(self, results: Sequence[SentinelResult], control_ids: Sequence[int]) -> None:
        self._written = {result.prompt: result for result in results if result.kind != "control_token"}
        self._masses = {result.prompt: result.value for result in results if result.kind == "control_token"}
        self._control = tuple(control_ids)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int] | None = None
    ) -> list[Completion]:
        """What the model wrote after each prompt; how it was sampled is not asked again."""
        return [self._completion(prompt) for prompt in prompts]

    def token_logprobs(self, prompts: Sequence[str], token_ids: Sequence[int]) -> NDArray[np.float64]:
        """Rows whose probabilities have the recorded sum: all of it stands under the first token."""
        rows = np.full((len(prompts), len(token_ids)), -np.inf)
        if token_ids:
            with np.errstate(divide="ignore"):
                rows[:, 0] = np.log([self._mass(prompt) for prompt in prompts])
        return rows

    def encode(self, text: str) -> NoReturn:
        """Not known."""
        raise NotImplementedError("records hold no tokens")

    def encode_batch(self, texts: Sequence[str]) -> NoReturn:
        """Not known."""
        raise NotImplementedError("records hold no tokens")

    @property
    def context_length(self) -> NoReturn:
        """Not known."""
        raise NotImplementedError("records hold no tokens")

    @property
    def batch_splits(self) -> int:
        """Nothing is computed here."""
        return 0

    def _completion(self, prompt: str) -> Completion:
        result = self._written.get(prompt)
        if result is None or result.finish_reason is None:
            raise CtaiError(f"the sentinels ask {prompt[:60]!r}, and no answer is recorded")
        ended = bool(self._control) and result.detail.endswith(_WROTE_CONTROL)
        return Completion(
            text=result.response,
            raw=result.response,
            token_ids=(self._control[0] if ended else _ORDINARY_TOKEN,),
            finish_reason=result.finish_reason,
        )

    def _mass(self, prompt: str) -> float:
        if prompt not in self._masses:
            raise CtaiError(f"the sentinels ask for control tokens after {prompt[:60]!r}, and none are recorded")
        return self._masses[prompt]


def recompute_model_check(stored: ContaminationReport) -> ContaminationReport:
    """The record of an examination, with the sentinels judged again; findings on files are taken as they are.

    Raises:
        CtaiError: an answer of the suite is missing.
    """
    provenance = stored.provenance
    if provenance is None or provenance.sentinels is None:
        return stored
    control = provenance.control_token_ids
    again = run_sentinels(RecordedEngine(provenance.sentinels.results, control), control)
    others = [finding for finding in stored.findings if finding.name not in _FROM_SENTINELS]
    found = [ContaminationFinding(name=f.name, message=f.message) for f in sentinel_findings(again)]
    update = {"sentinels": again}
    return stored.model_copy(update={"findings": (*others, *found), "provenance": provenance.model_copy(update=update)})


def model_check_differences(stored: ContaminationReport, again: ContaminationReport, where: str) -> Iterator[str]:
    """Where the record of an examination does not follow from what the model wrote."""
    yield from differences(_sentinels(stored), _sentinels(again), f"{where} sentinels")
    for name in _FROM_SENTINELS:
        said, follows = ([f.message for f in one.findings if f.name == name] for one in (stored, again))
        yield from differences(said, follows, f"{where} findings {name}")


def _sentinels(report: ContaminationReport) -> SentinelReport | None:
    return report.provenance.sentinels if report.provenance else None
