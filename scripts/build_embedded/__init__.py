"""Builds the embedded base model: corpus, tokenizer, pretraining, measurements and the two controls."""
