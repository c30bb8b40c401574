"""Instruction prompts: rotation of examples and topics."""

import pytest

from tests.support.generated import WorldModel, make_pilot, with_generation

pytestmark = pytest.mark.unit


def test_list_prompts_rotate_their_examples(tmp_path):
    model = WorldModel()
    make_pilot(tmp_path, model)
    lists = [prompt for prompt in model.engine.prompts if prompt.endswith(".") and "\n1. " in prompt]
    assert len(set(lists)) == len(lists)
    assert any(prompt.startswith("Topic: ") for prompt in lists)


def test_another_shard_and_another_rotation_write_other_things(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    make_pilot(folders[0])
    make_pilot(folders[1], number=1)
    make_pilot(folders[2], config=with_generation(example_rotation=1))
    texts = [(folder / "artifacts/pilot/dataset.jsonl").read_text(encoding="utf-8") for folder in folders]
    assert len(set(texts)) == 3
