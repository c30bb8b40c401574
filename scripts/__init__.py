"""Generators of documentation, checks of the repository, and the builder of the embedded model."""
