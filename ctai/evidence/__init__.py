"""Evidence of a run: results, verdicts, preregistration, JUnit report, attestations and review packets."""
