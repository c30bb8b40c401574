"""Schemas of the statements for other tools, written from their specifications; a field that they do not name is refused.

Sources: in-toto Statement v1 and ResourceDescriptor v1 (github.com/in-toto/attestation, spec/v1), Test Result v0.1
(spec/predicates/test-result.md) and SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+")
# Algorithms of the DigestSet of the specification whose values have a fixed length (hex characters).
_LENGTHS = {"sha256": 64, "sha512": 128, "gitCommit": 40}


def _uri(text: str) -> str:
    assert _URI.fullmatch(text), f"{text!r} is no URI"
    return text


Uri = Annotated[str, AfterValidator(_uri)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Descriptor(_Strict):
    """ResourceDescriptor: at least one of uri, digest and content."""

    name: str | None = None
    uri: Uri | None = None
    digest: dict[str, str] | None = None
    content: str | None = None
    downloadLocation: Uri | None = None  # noqa: N815
    mediaType: str | None = None  # noqa: N815
    annotations: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _identifies(self) -> "Descriptor":
        assert self.uri or self.digest or self.content, "a descriptor without uri, digest and content"
        for algorithm, value in (self.digest or {}).items():
            length = _LENGTHS.get(algorithm)
            assert length is None or re.fullmatch(f"[0-9a-f]{{{length}}}", value), f"{algorithm} {value!r}"
        return self


class TestResult(_Strict):
    """Predicate of Test Result v0.1."""

    __test__ = False

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: list[Descriptor]
    url: Uri | None = None
    passedTests: list[str] = []  # noqa: N815
    warnedTests: list[str] = []  # noqa: N815
    failedTests: list[str] = []  # noqa: N815


class BuildDefinition(_Strict):
    """What was asked for."""

    buildType: Uri  # noqa: N815
    externalParameters: dict[str, Any]  # noqa: N815
    internalParameters: dict[str, Any] = {}  # noqa: N815
    resolvedDependencies: list[Descriptor] = []  # noqa: N815


class Builder(_Strict):
    """Who executed the build."""

    id: Uri
    version: dict[str, str] = {}
    builderDependencies: list[Descriptor] = []  # noqa: N815


class Metadata(_Strict):
    """Identity of one build; its times are left out, since a run repeats byte for byte."""

    invocationId: str = Field(min_length=1)  # noqa: N815


class RunDetails(_Strict):
    """What happened."""

    builder: Builder
    metadata: Metadata
    byproducts: list[Descriptor] = []


class Provenance(_Strict):
    """Predicate of SLSA Provenance v1."""

    buildDefinition: BuildDefinition  # noqa: N815
    runDetails: RunDetails  # noqa: N815


PREDICATES: dict[str, type[BaseModel]] = {
    "https://in-toto.io/attestation/test-result/v0.1": TestResult,
    "https://slsa.dev/provenance/v1": Provenance,
}


class Statement(BaseModel):
    """in-toto Statement v1: subjects are matched by digest, so each has one."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Descriptor] = Field(min_length=1)
    predicateType: Uri  # noqa: N815
    predicate: dict[str, Any]

    @model_validator(mode="after")
    def _predicate_fits(self) -> "Statement":
        assert all(subject.digest for subject in self.subject), "a subject without digest"
        if self.predicateType in PREDICATES:
            PREDICATES[self.predicateType].model_validate(self.predicate)
        return self
