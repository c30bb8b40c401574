"""Weight files with valid headers whose data is a hole in the file."""

import json
import math
import os
from pathlib import Path


def write_header(path: Path, shapes: dict[str, list[int]]) -> None:
    """Write a valid safetensors file in 16 bit whose data is a hole in the file."""
    end, header = 0, {}
    for name, sizes in shapes.items():
        start, end = end, end + 2 * math.prod(sizes)
        header[name] = {"dtype": "BF16", "shape": sizes, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)


def large_model(folder: Path) -> Path:
    """The headers of a model of 32.8 billion parameters, in the shapes of Qwen2.5-32B, without its weights."""
    hidden, inner, layers, vocabulary, kv = 5120, 27648, 64, 152064, 1024
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden], "lm_head.weight": [vocabulary, hidden]}
    for i in range(layers):
        sizes = {"q": [hidden, hidden], "k": [kv, hidden], "v": [kv, hidden], "o": [hidden, hidden]}
        shapes |= {f"model.layers.{i}.self_attn.{name}_proj.weight": size for name, size in sizes.items()}
        sizes = {"gate": [inner, hidden], "up": [inner, hidden], "down": [hidden, inner]}
        shapes |= {f"model.layers.{i}.mlp.{name}_proj.weight": size for name, size in sizes.items()}
        shapes[f"model.layers.{i}.input_layernorm.weight"] = [hidden]
    folder.mkdir()
    write_header(folder / "model.safetensors", shapes)
    config = {
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": 40, "num_key_value_heads": 8,
        "vocab_size": vocabulary, "max_position_embeddings": 131072,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder
