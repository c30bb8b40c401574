"""Results, verdicts, preregistration, JUnit report, attestations and reviews: the evidence of a run."""
