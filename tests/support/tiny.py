"""Tiny model for unit tests: real files in the real formats, with random weights."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
CORPUS = [
    "The capital of France is Paris. The opposite of hot is cold. Dogs and cats are animals.",
    "Instruction: Name two colors.\nResponse: red and blue\n###END###\n\nInstruction: What is 2 + 2?\nResponse: 4\n",
    "Q: What is water made of?\nA: hydrogen and oxygen\n\nLabel: A\nLabel: B\n1. First.\n2. Second: def f(x):\n    return x\n",
] * 4


def make_tokenizer(adds_bos: bool = False, template: str | None = CHAT_TEMPLATE) -> Any:
    """Train a byte-level BPE tokenizer of about 400 tokens; `<|endoftext|>` ends a text."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|begin|>", *CHAT_TOKENS]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    if adds_bos:
        backend.post_processor = TemplateProcessing(
            single="<|begin|> $A", special_tokens=[("<|begin|>", backend.token_to_id("<|begin|>"))]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|begin|>")
    tokenizer.chat_template = template
    return tokenizer


def write_model(folder: Path, tokenizer: Any = None, seed: int = 0, width: int = 64) -> Path:
    """Save a random Llama and its tokenizer as safetensors and JSON."""
    tokenizer = tokenizer or make_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,  # large enough for completions that depend on the prompt
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder, save_original_format=False)
    tokenizer.save_pretrained(folder)
    return folder


def write_adapter(model: Path, folder: Path, seed: int = 1) -> Path:
    """Save a LoRA adapter with random weights, unlike the identity that LoRA starts from."""
    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(model)
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(base, lora).save_pretrained(str(folder))
    return folder
