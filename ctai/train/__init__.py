"""QLoRA supervised fine-tuning with the loss on the completion only."""
