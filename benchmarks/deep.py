"""Deeper copy of the embedded model, which writes the same texts at the cost of a larger model.

A gates run needs a base model that passes them. The added layers add zero to the residual stream, so the output is that of
the embedded model, while a forward pass costs as much as that of a larger model.
"""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from ctai.model import sources


def write_deeper(folder: Path, times: int) -> int:
    """Write the embedded model with a multiple of its layers and return its number of parameters.

    The output projections of attention and feed-forward network of the added layers are 0.
    """
    embedded = sources.resolve_model(sources.EMBEDDED, None).folder
    model = AutoModelForCausalLM.from_pretrained(embedded, dtype=torch.float32)
    config = AutoConfig.from_pretrained(embedded)
    few, config.num_hidden_layers = config.num_hidden_layers, times * config.num_hidden_layers
    deep = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    deep.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        for layer in deep.model.layers[few:]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    deep.save_pretrained(folder)
    AutoTokenizer.from_pretrained(embedded).save_pretrained(folder)
    return int(deep.num_parameters())
