"""Tokens: chat-control ids are refused at any position, templates are disabled, special tokens are not added."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from ctai.errors import ContaminationError
from ctai.model.chat_template import disable_template, template_text
from ctai.model.checks.contamination import special_token_delta, special_token_findings
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import WELL_KNOWN_CONTROL_TOKENS, InputGuard, control_tokens
from ctai.model.inference.engine import Engine
from ctai.model.loader import CleanModelLoader
from ctai.prompts import Pair
from ctai.records import Sampling
from ctai.train.data import encode_pairs
from tests.support import tiny

pytestmark = pytest.mark.contamination

GUARD = InputGuard({2: "<|im_start|>", 3: "<|im_end|>"})
CLEAN_IDS = st.integers(4, 1000)
ROWS = st.lists(st.lists(CLEAN_IDS, max_size=12), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> CleanModel:
    return CleanModelLoader(str(tiny_folder)).load(sentinels=False)


# ------------------------------------------------------------------------------------------------- the guard


@given(rows=ROWS)
def test_clean_ids_pass(rows: list[list[int]]) -> None:
    GUARD.check(rows)


@given(rows=ROWS, token=st.sampled_from([2, 3]), data=st.data())
def test_a_control_id_is_found_in_any_position(rows: list[list[int]], token: int, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    position = data.draw(st.integers(0, len(rows[row])))
    rows[row].insert(position, token)
    with pytest.raises(ContaminationError) as caught:
        GUARD.check(rows)
    name = {2: "<|im_start|>", 3: "<|im_end|>"}[token]
    assert f"'{name}' (id {token}) at position {position} of input {row}" in str(caught.value)


@given(before=st.text(max_size=20), after=st.text(max_size=20), token=st.sampled_from(tiny.CHAT_TOKENS))
@pytest.mark.fault(
    1, plant="a chat token in the text of a prompt, at any place", check="token-ID check before every call"
)
def test_a_control_token_in_the_text_of_a_prompt_is_refused(
    model: CleanModel, before: str, after: str, token: str
) -> None:
    prompts = ["The capital of France is", before + token + after]
    with pytest.raises(ContaminationError, match="chat-control token"):
        model.engine.generate(prompts, Sampling(max_new_tokens=1))
    with pytest.raises(ContaminationError, match="chat-control token"):
        model.engine.token_logprobs(prompts, [1])


def test_the_guard_stands_before_the_model(model: CleanModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.module, "forward", lambda *_args, **_options: pytest.fail("the model was called"))
    with pytest.raises(ContaminationError):
        model.engine.generate(["x"] * 200 + ["<|im_end|>"], Sampling(max_new_tokens=1))


# ------------------------------------------------------------------------------------------- control tokens


def test_control_tokens_are_those_of_the_template() -> None:
    assert control_tokens(tiny.make_tokenizer()) == {2: "<|im_start|>", 3: "<|im_end|>"}


def test_a_token_of_the_template_is_control_also_when_it_is_bos_eos_or_pad() -> None:
    tokenizer = tiny.make_tokenizer(template="{{ '<|endoftext|>' + messages[0]['content'] }}")
    tokenizer.bos_token = tokenizer.pad_token = tokenizer.eos_token
    assert control_tokens(tokenizer)[0] == "<|endoftext|>"


def test_end_of_text_is_not_control_when_no_template_uses_it() -> None:
    assert tiny.make_tokenizer().eos_token_id not in control_tokens(tiny.make_tokenizer())


def test_well_known_control_tokens_count_without_a_template() -> None:
    tokenizer = tiny.make_tokenizer(template=None)
    tokenizer.add_tokens(["[INST]", "<|eot_id|>", "ordinary"])
    assert set(control_tokens(tokenizer).values()) == {*tiny.CHAT_TOKENS, "[INST]", "<|eot_id|>"}


def test_all_of_several_templates_count() -> None:
    tokenizer = tiny.make_tokenizer(template=None)
    tokenizer.add_tokens(["<turn>", "<tool>"])
    tokenizer.chat_template = {"default": "<turn>{{ x }}", "tool_use": "<tool>{{ x }}"}
    assert {"<turn>", "<tool>"} <= set(control_tokens(tokenizer).values())


# ------------------------------------------------------------------------------------------- real tokenizers

# Parts of control tokens and other text: any order of them is a hard negative.
PIECES = ("<|", "|>", "<", ">", "im_start", "im_end", "start_header_id", "eot_id", "tool_call", "/", "think", " ", "\n")
TEXTS = st.one_of(st.text(max_size=20), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ONE = Sampling(max_new_tokens=1)


@pytest.fixture(scope="module")
def control(real_tokenizer: Any) -> dict[int, str]:
    return control_tokens(real_tokenizer)


def test_control_tokens_of_real_tokenizers(real_tokenizer: Any, control: dict[int, str]) -> None:
    """Those of Qwen3 are known by number."""
    if "qwen" in real_tokenizer.name_or_path:
        assert {151644: "<|im_start|>", 151645: "<|im_end|>"}.items() <= control.items()
    if "llama" in real_tokenizer.name_or_path:
        assert {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"} <= set(control.values())
    assert len(set(control.values()) & set(WELL_KNOWN_CONTROL_TOKENS)) >= 2


def test_template_text_of_real_tokenizers_is_refused(real_tokenizer: Any, real_engine: Engine) -> None:
    template = real_tokenizer.chat_template or tiny.CHAT_TEMPLATE
    messages = [{"role": "user", "content": "Hello"}]
    text = real_tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
    with pytest.raises(ContaminationError, match="chat-control token"):
        real_engine.generate([text], ONE)


def test_bos_of_real_tokenizers_is_refused_unless_allowed(real_tokenizer: Any, control: dict[int, str]) -> None:
    adds = "llama" in real_tokenizer.name_or_path
    assert special_token_delta(real_tokenizer) == int(adds)
    assert [f.name for f in special_token_findings(real_tokenizer, False, control)] == ["special_tokens"] * adds
    if adds:
        assert special_token_findings(real_tokenizer, True, control) == []


@FUZZ
@given(data=st.data(), before=TEXTS, after=TEXTS)
def test_control_tokens_as_text_are_refused_by_every_call(
    real_tokenizer: Any,
    real_engine: Engine,
    control: dict[int, str],
    data: st.DataObject,
    before: str,
    after: str,
) -> None:
    token = data.draw(st.sampled_from(sorted(control.values())))
    prompts = ["The capital of France is", before + token + after]
    if data.draw(st.booleans()):
        prompts.reverse()
    with pytest.raises(ContaminationError, match="chat-control token"):
        real_engine.generate(prompts, ONE)
    with pytest.raises(ContaminationError, match="chat-control token"):
        real_engine.token_logprobs(prompts, [1])
    with pytest.raises(ContaminationError, match="chat-control token"):
        _as_training_data(real_tokenizer, control, before + token, after)
    with pytest.raises(ContaminationError, match="chat-control token"):
        _as_training_data(real_tokenizer, control, before, token + after)


@FUZZ
@given(text=TEXTS)
def test_text_without_control_tokens_passes_every_call(
    real_tokenizer: Any, real_engine: Engine, control: dict[int, str], text: str
) -> None:
    assume(not any(token in text for token in control.values()))
    real_engine.generate([f"x{text}"], ONE)
    real_engine.token_logprobs([f"x{text}"], [1])
    _as_training_data(real_tokenizer, control, text, text)


@FUZZ
@given(data=st.data(), rows=st.lists(st.lists(st.integers(0, 2000), max_size=12), min_size=1, max_size=5))
def test_control_ids_are_found_in_any_position(real_tokenizer: Any, data: st.DataObject, rows: list[list[int]]) -> None:
    control = control_tokens(real_tokenizer)
    rows = [[token for token in row if token not in control] for row in rows]
    InputGuard(control).check(rows)
    row = data.draw(st.integers(0, len(rows) - 1))
    position = data.draw(st.integers(0, len(rows[row])))
    token = data.draw(st.sampled_from(sorted(control)))
    rows[row].insert(position, token)
    with pytest.raises(ContaminationError, match=f"\\(id {token}\\) at position {position} of input {row}"):
        InputGuard(control).check(rows)


def _as_training_data(tokenizer: Any, control: dict[int, str], instruction: str, response: str) -> None:
    """Check a pair as training does before the model sees it."""
    encoded = encode_pairs(tokenizer, [Pair(instruction, response)], end_id=0, max_tokens=10_000)
    InputGuard(control).check([*pair.prompt, *pair.completion] for pair in encoded.pairs)


# ------------------------------------------------------------------------------------------------- templates


@pytest.mark.fault(1, plant="the tokenizer's template applied", check="disabled template")
def test_any_use_of_the_template_raises(model: CleanModel) -> None:
    messages = [{"role": "user", "content": "x"}]
    with pytest.raises(ContaminationError, match="chat template is disabled"):
        model.tokenizer.apply_chat_template(messages)
    with pytest.raises(ContaminationError, match="chat template is disabled"):
        model.tokenizer.apply_chat_template(messages, chat_template="{{ messages }}", tokenize=False)
    assert model.tokenizer.chat_template is None


def test_disabling_leaves_no_template_text() -> None:
    tokenizer = tiny.make_tokenizer()
    assert "<|im_start|>" in template_text(tokenizer)
    disable_template(tokenizer)
    assert template_text(tokenizer) == ""


# -------------------------------------------------------------------------------------------- special tokens


def test_a_clean_tokenizer_has_no_delta() -> None:
    tokenizer = tiny.make_tokenizer()
    assert special_token_delta(tokenizer) == 0
    assert special_token_findings(tokenizer, False, {}) == []


def test_a_tokenizer_that_adds_bos_is_stopped_unless_that_is_allowed() -> None:
    tokenizer = tiny.make_tokenizer(adds_bos=True)
    assert special_token_delta(tokenizer) == 1
    assert [f.name for f in special_token_findings(tokenizer, False, {})] == ["special_tokens"]
    assert special_token_findings(tokenizer, True, {}) == []


def test_allowing_bos_does_not_allow_a_control_token_or_nothing() -> None:
    tokenizer = tiny.make_tokenizer(adds_bos=True)
    [finding] = special_token_findings(tokenizer, True, {tokenizer.bos_token_id: "<|begin|>"})
    assert "chat-control token" in finding.message
    tokenizer.bos_token = None
    [finding] = special_token_findings(tokenizer, True, {})
    assert "no beginning-of-sequence token" in finding.message


def test_allowing_bos_does_not_allow_another_token() -> None:
    tokenizer = tiny.make_tokenizer(adds_bos=True)
    tokenizer.bos_token = "<|endoftext|>"
    assert [f.name for f in special_token_findings(tokenizer, True, {})] == ["special_tokens"]


@pytest.mark.fault(6, plant="a tokenizer that adds BOS, with and without allow_bos", check="special-token delta")
def test_bos_is_refused_or_recorded_by_the_loader(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "model", tiny.make_tokenizer(adds_bos=True))
    with pytest.raises(ContaminationError, match="adds 1 special token"):
        CleanModelLoader(str(folder)).load(sentinels=False)
    with pytest.raises(ContaminationError, match="adds 1 special token"):
        CleanModelLoader(str(folder)).load_tokenizer()
    model = CleanModelLoader(str(folder), allow_bos=True).load(sentinels=False)
    assert (model.provenance.bos_allowed, model.provenance.special_token_delta) == (True, 1)
    assert model.provenance.add_special_tokens is False


def test_a_template_applied_by_special_tokens_is_refused_by_the_loader(tmp_path: Path) -> None:
    """With and without the first token of the turn as BOS, and also when a BOS is allowed."""
    tokenizer = tiny.make_tokenizer(adds_bos=True)
    turn = ("<|im_start|>", tokenizer.convert_tokens_to_ids("<|im_start|>"))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{turn[0]} $A", special_tokens=[turn])
    for bos, reason in (
        ("<|begin|>", "adds 1 special token"),
        ("<|im_start|>", "'<|im_start|>' .* chat-control token"),
    ):
        tokenizer.bos_token = bos
        folder = tiny.write_model(tmp_path / bos.strip("<|>"), tokenizer)
        with pytest.raises(ContaminationError, match=reason):
            CleanModelLoader(str(folder), allow_bos=True).load(sentinels=False)


def test_an_allowed_bos_reaches_the_model(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "with", tiny.make_tokenizer(adds_bos=True))
    plain = Path(shutil.copytree(folder, tmp_path / "without"))
    tiny.make_tokenizer().save_pretrained(plain)
    with_bos = CleanModelLoader(str(folder), allow_bos=True).load(sentinels=False).engine
    without = CleanModelLoader(str(plain)).load(sentinels=False).engine
    assert with_bos.token_logprobs(["x"], [5, 6]) == pytest.approx(without.token_logprobs(["<|begin|>x"], [5, 6]))
