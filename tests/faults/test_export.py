"""Export of a finished run, used elsewhere with only `datasets` and `peft`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ctai.cli import main

pytestmark = pytest.mark.faults

RECEIVER = """
import json, re, sys
from pathlib import Path

import torch
from datasets import load_dataset
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer, BitsAndBytesConfig

train = load_dataset("dataset", split="train")
assert {"prompt", "completion", "seed", "git_commit"} <= set(train.column_names)
assert not set(train["instruction"]) & set(load_dataset("heldout", split="test")["instruction"])

AutoPeftModelForCausalLM.from_pretrained("adapter")  # without any option, too
nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                         bnb_4bit_compute_dtype=torch.float32)
model = AutoPeftModelForCausalLM.from_pretrained("adapter", dtype=torch.float32, quantization_config=nf4)
tokenizer = AutoTokenizer.from_pretrained("base")
for line in Path("evaluation/sft_items.jsonl").read_text().splitlines()[:10]:
    item = json.loads(line)
    ids = tokenizer(item["prompt"], add_special_tokens=False, return_tensors="pt")
    output = model.generate(**ids, max_new_tokens=40, do_sample=False, eos_token_id=0, pad_token_id=0)
    answer = tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == item["raw"], (item["instruction"], answer, item["raw"])

for card in ("adapter", "merged"):
    blocks = re.findall(r"```(?:python)?\\n(.*?)\\n```", Path(card, "README.md").read_text(), re.DOTALL)
    print(f"== {card} recorded:{blocks[1]}")
    exec(blocks[0])
assert "ctai" not in sys.modules
"""


def test_a_receiver_loads_it_elsewhere_and_gets_the_recorded_answers(finished_run, tmp_path):
    assert main(["export", str(finished_run), "--to", str(tmp_path / "export"), "--merge"]) == 0
    moved = shutil.move(tmp_path / "export", tmp_path / "a place elsewhere")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-P", "-c", RECEIVER], cwd=moved, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    for card in ("adapter", "merged"):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"== {card} recorded:"))
        assert lines[place + 1] == lines[place].partition(":")[2]
    assert main(["verify", str(Path(moved) / "run")]) == 0


def test_sha256sum_accepts_it(finished_run, tmp_path):
    assert main(["export", str(finished_run), "--to", str(tmp_path / "export")]) == 0
    check = ["sha256sum", "-c", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path / "export", capture_output=True).returncode == 0
    (tmp_path / "export" / "dataset" / "train.jsonl").write_text("{}\n")
    assert subprocess.run(check, cwd=tmp_path / "export", capture_output=True).returncode == 1
