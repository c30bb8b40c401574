"""Tokenizer of the embedded base model: byte-level BPE with a token for every word of its small world.

Owns training and saving. Like the tokenizers of Qwen2.5 base models it has chat-control tokens and a chat template, which
are not in the corpus, so that the loader has a real template to remove and real tokens to guard against.
"""

import json
import re
from itertools import chain, islice
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from ctai.tasks.registry import EMBEDDED_FAMILIES
from scripts.build_embedded import corpus, pages

VOCABULARY = 2432
CONTEXT = 320
PAD, IM_START, IM_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (pages.END, PAD, IM_START, IM_END)
SAMPLE_DOCUMENTS = 8000
WORD_REPEATS = 3000  # makes every word of the world frequent enough for a token
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' "
    "+ '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def world_words() -> list[str]:
    """Return every word of keys, answers, wordings and statements, each once, in the order of the families."""
    texts = chain.from_iterable(
        (*family.keys, *map(family.answer, family.keys), *family.phrasings, *family.statements)
        for family in EMBEDDED_FAMILIES
    )
    return list(dict.fromkeys(chain.from_iterable(re.findall(r"\w+", text) for text in texts)))


def train_tokenizer(seed: str) -> Tokenizer:
    """Train the tokenizer on a sample of the corpus and the words of the world."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    words = (f" {word}" for word in world_words() for _ in range(WORD_REPEATS))
    pages = ("".join(s.text for s in page[:-1]) for page in islice(corpus.documents(seed), SAMPLE_DOCUMENTS))
    tokenizer.train_from_iterator(chain(words, pages), trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> PreTrainedTokenizerFast:
    """Write the tokenizer in the format of transformers, with the chat template in ``tokenizer_config.json``."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=pages.END,
        pad_token=PAD,
        model_max_length=CONTEXT,
        additional_special_tokens=[IM_START, IM_END],
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["chat_template"] = CHAT_TEMPLATE
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return fast
