"""Finders of label scoring: the critic's labels, log-probabilities of next tokens, and logits of last positions."""

import ast
from collections.abc import Callable, Container, Iterator, Set

from ctai.provenance.canonical_use.syntax import ParsedModule, Scope, keyword, leaf

_LABELS = {"LABEL_GOOD", "LABEL_BAD"}
_SOFTMAX = {"log_softmax", "softmax", "logsumexp", "LogSoftmax", "Softmax", "log_softmax_", "softmax_"}
_LETTERS = {"A", "B", " A", " B", "\u0120A", "\u0120B", "\u2581A", "\u2581B"}
_ENCODERS = {"encode", "convert_tokens_to_ids", "token_to_id", "tokenize", "tokenizer", "tok"}
_SCORE_OPTIONS = {"output_scores", "output_logits", "logits_to_keep", "num_logits_to_keep"}
_CONVERSIONS = {
    "squeeze", "unsqueeze", "float", "double", "half", "bfloat16", "detach", "cpu", "cuda", "to", "numpy", "contiguous", "clone",
    "view", "reshape",
}  # fmt: skip
_PASSES = 3  # values that are handed on from name to name


def labels(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield uses of the names of the labels, and of token ids of their letters."""
    for node, names in module.references:
        if any(name.rpartition(".")[2] in _LABELS for name in names):
            yield node
    for call in module.of(ast.Call):
        if leaf(call.func) in _ENCODERS and any(map(_is_letter, call.args)):
            yield call


def token_logprobs(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield requests for log-probabilities of next tokens."""
    yield from (node for node, names in module.references if any(name.endswith(".token_logprobs") for name in names))
    yield from (expression for expression, text in module.string_expressions if text == "token_logprobs")


def last_logits(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield reads of the logits of a last position, and calls of a model for nothing else."""
    for scope in module.scopes:
        aliases = {name for name, value in scope.bindings() if _is_logits(value)}
        for node in scope.nodes:
            if isinstance(node, ast.Subscript) and _takes_last(node) and _is_logits(node.value, aliases):
                yield node
    for call in module.of(ast.Call):
        selects = isinstance(call.func, ast.Attribute) and call.func.attr == "select" and _is_logits(call.func.value)
        if selects or any(_asks_for_scores(keyword(call, name)) for name in _SCORE_OPTIONS):
            yield call


def last_probabilities(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield softmaxes of logits at a last position, and last positions of the output of a softmax.

    Values are followed through the names of a function; what a called function does with them is not seen.
    """
    softmaxes = {call for call in module.of(ast.Call) if _is_softmax(call, module)}
    for scope in module.scopes:
        if not softmaxes.isdisjoint(scope.nodes):
            yield from _last_probabilities(scope, softmaxes)


def _last_probabilities(scope: Scope, softmaxes: Set[ast.AST]) -> Iterator[ast.AST]:
    last, normalized = _names_of(scope, _is_last), _names_of(scope, softmaxes.__contains__)
    for node in scope.nodes:
        if node in softmaxes:
            hit = any(_is_last(part) or _is_name(part, last) for part in ast.walk(node))
        elif isinstance(node, ast.Subscript) and _takes_last(node):
            hit = any(part in softmaxes or _is_name(part, normalized) for part in ast.walk(node.value))
        else:
            continue
        if hit:
            yield node


def _names_of(scope: Scope, test: Callable[[ast.AST], bool]) -> set[str]:
    """Return the names that are assigned an expression with a part that passes a test, or with such a name."""
    names: set[str] = set()
    for _ in range(_PASSES):
        names |= {
            name
            for name, value in scope.bindings()
            if any(test(part) or _is_name(part, names) for part in ast.walk(value))
        }
    return names


def _is_name(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _is_softmax(call: ast.Call, module: ParsedModule) -> bool:
    """Tell whether a call is of a softmax, or of a module of PyTorch that computes one."""
    return module.is_called(call, _SOFTMAX) or (isinstance(call.func, ast.Call) and _is_softmax(call.func, module))


def _is_last(node: ast.AST) -> bool:
    """Tell whether a node takes the last of several positions, by an index beside others or of something named logits."""
    if not isinstance(node, ast.Subscript) or not _takes_last(node):
        return False
    return isinstance(node.slice, ast.Tuple) or _is_logits(node.value)


def _takes_last(node: ast.Subscript) -> bool:
    """Tell whether an index is -1, from -1 on, or a length less 1."""
    indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return any(map(_is_last_index, indices))


def _is_last_index(node: ast.expr) -> bool:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            return True
        case ast.BinOp(op=ast.Sub(), right=ast.Constant(value=1)):
            return True
        case ast.Slice(lower=ast.expr() as lower, upper=None):
            return _is_last_index(lower)
    return False


def _is_logits(node: ast.expr, aliases: Container[str] = ()) -> bool:
    """Tell whether an expression is named logits, or is a part or a conversion of something that is."""
    match node:
        case ast.Subscript(value=value, slice=item):
            return _is_logits(value, aliases) or (isinstance(item, ast.Constant) and item.value == "logits")
        case ast.Call(func=ast.Attribute(attr=method, value=value)) if method in _CONVERSIONS:
            return _is_logits(value, aliases)
        case ast.Name(id=name):
            return "logits" in name.lower() or name in aliases
        case ast.Attribute(attr=name):
            return "logits" in name.lower()
    return False


def _asks_for_scores(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value in (1, -1, True)


def _is_letter(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in _LETTERS


FINDERS = (labels, token_logprobs, last_logits, last_probabilities)
