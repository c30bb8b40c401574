"""Batched generation and scoring with one causal language model in completion mode."""
