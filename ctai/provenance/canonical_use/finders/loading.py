"""Finders of model loading: transformers, PyTorch, safetensors, pickles and other engines."""

import ast
import re
from collections.abc import Iterator

from ctai.provenance.canonical_use.syntax import ParsedModule, argument, keyword, leaf

# Attributes that load weights, whatever they are attributes of.
_LOADING_ATTRIBUTES = {
    "from_pretrained", "from_single_file", "from_gguf", "load_checkpoint_and_dispatch", "load_checkpoint_in_model",
    "load_adapter", "load_sharded_checkpoint",
}  # fmt: skip
# Functions that load weights, by the package they come from.
_LOADING_FUNCTIONS = {
    "torch": {"load"},
    "transformers": {"pipeline", "load_state_dict", "load_gguf_checkpoint"},
    "safetensors": {"load_file", "load_model", "load"},
    "accelerate": {"load_checkpoint_and_dispatch", "load_checkpoint_in_model"},
    "peft": {"load_peft_weights"},
    "huggingface_hub": {"InferenceClient", "AsyncInferenceClient", "load_state_dict_from_file", "load_torch_model"},
    "numpy": {"load", "fromfile"},
    "sentencepiece": {"SentencePieceProcessor"},
    "tiktoken": {"get_encoding", "encoding_for_model"},
    **{name: {"load", "Unpickler"} for name in ("pickle", "cloudpickle", "dill", "joblib")},
}
_ENGINES = {
    "vllm", "llama_cpp", "ctransformers", "mlx", "mlx_lm", "exllamav2", "exllamav3", "sglang", "lmdeploy", "tensorrt_llm",
    "gpt4all", "onnxruntime", "onnxruntime_genai", "optimum", "auto_gptq", "gptqmodel", "awq", "unsloth", "ollama", "openai",
    "anthropic", "litellm", "llama_index", "langchain", "text_generation", "outlines", "guidance", "lm_eval", "lighteval",
    "sentence_transformers", "nanovllm", "mistral_inference", "torchtune", "litgpt", "dspy", "ctranslate2",
}  # fmt: skip
_ENGINE_CLASSES = {"LLM", "AsyncLLM", "Llama", "LLMEngine", "AsyncLLMEngine", "GPT4All"}
_ENDPOINT = re.compile(r"/v1/(?:chat/)?completions|/api/(?:generate|chat)\b")
# What has a state, but is no model.
_NO_MODEL = re.compile(r"(?i)optim|adam|sgd|sched|scaler")


def pretrained(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield uses of `from_pretrained` and its like: as attribute, by `getattr`, or as a name to look up."""
    for node, names in module.references:
        if any(name.rpartition(".")[2] in _LOADING_ATTRIBUTES for name in names):
            yield node
    yield from (expression for expression, text in module.string_expressions if text in _LOADING_ATTRIBUTES)


def loading_functions(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield uses of functions that read weights, under whatever name they are imported."""
    for node, names in module.references:
        if any(name.rpartition(".")[2] in _LOADING_FUNCTIONS.get(name.split(".")[0], ()) for name in names):
            yield node


def pipelines(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield calls of a `pipeline` of a task or with a model, wherever the name comes from."""
    for call in module.of(ast.Call):
        if leaf(call.func) == "pipeline":
            task = argument(call, 0, "task")
            is_task = isinstance(task, ast.Constant) and isinstance(task.value, str) and "-" in task.value
            if is_task or keyword(call, "model") is not None:
                yield call


def other_engines(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield imports of other inference engines, calls of their classes, and addresses of servers that run one."""
    yield from (node for node, name in module.imported_modules() if name.split(".")[0] in _ENGINES)
    for call in module.of(ast.Call):
        if module.is_called(call, _ENGINE_CLASSES):
            yield call
    yield from (expression for expression, text in module.string_expressions if _ENDPOINT.search(text))


def tokenizers(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield tokenizers that are read from a file."""
    for node, names in module.references:
        if any(name.endswith("Tokenizer.from_file") for name in names):
            yield node
    for call in module.of(ast.Call):
        if keyword(call, "tokenizer_file") is not None:
            yield call


def states_into_modules(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield weights that are put into a module: `load_state_dict`, tensors of an opened file, models from a configuration.

    The state of an optimizer or scheduler is no model, unless the same module builds a model from its configuration.
    """
    attributes = module.of(ast.Attribute)
    states = [node for node in attributes if node.attr == "load_state_dict"]
    yield from (node for node in states if not _NO_MODEL.search(leaf(node.value)))
    yield from (node for node in attributes if node.attr == "get_tensor")
    for item in module.of(ast.Subscript):
        if isinstance(item.value, ast.Call) and leaf(item.value.func) == "get_slice":
            yield item
    if states or any(True for _ in loading_functions(module)):
        yield from (node for node in attributes if node.attr in {"from_config", "_from_config"})


FINDERS = (pretrained, loading_functions, pipelines, other_engines, tokenizers, states_into_modules)
