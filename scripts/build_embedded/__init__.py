"""Builder of the embedded base model: corpus, tokenizer, pretraining, measurements and controls."""
