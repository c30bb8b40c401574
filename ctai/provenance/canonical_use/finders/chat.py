"""Finders of chat templates: assignments, calls, and messages with roles."""

import ast
from collections.abc import Iterator

from ctai.provenance.canonical_use.syntax import ParsedModule, keyword, leaf

_APPLY = {
    "apply_chat_template", "encode_message_with_chat_template", "render_jinja_template", "compile_jinja_template",
    "_compile_jinja_template",
}  # fmt: skip
_TEMPLATE = {"chat_template", "default_chat_template"}
_SETTERS = {"setattr", "__setattr__"}


def assigned_templates(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield assignments of a chat template: an attribute, an item, an argument or an entry of that name."""
    for kind in (ast.Attribute, ast.Subscript, ast.Dict, ast.Call):
        yield from (node for node in module.of(kind) if _assigns_template(node))


def _assigns_template(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
            return name in _TEMPLATE | _APPLY
        case ast.Subscript(slice=item, ctx=ast.Store() | ast.Del()):
            return _is_template_name(item)
        case ast.Dict(keys=keys):
            return any(map(_is_template_name, keys))
        case ast.Call(func=function, args=arguments, keywords=keywords):
            by_name = leaf(function) in _SETTERS and any(map(_is_template_name, arguments))
            return by_name or any(word.arg in _TEMPLATE for word in keywords)
    return False


def applied_templates(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield uses of `apply_chat_template` and of the functions under it, and renderings of messages by a template."""
    yield from (node for node, names in module.references if any(name.rpartition(".")[2] in _APPLY for name in names))
    yield from (expression for expression, text in module.string_expressions if text in _APPLY)
    for call in module.of(ast.Call):
        if leaf(call.func) == "render" and keyword(call, "messages") is not None:
            yield call


def messages(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield messages of a chat: dictionaries with a role and a content."""
    for display in module.of(ast.Dict):
        if {"role", "content"} <= {key.value for key in display.keys if isinstance(key, ast.Constant)}:
            yield display
    for call in module.of(ast.Call):
        if leaf(call.func) == "dict" and {"role", "content"} <= {word.arg for word in call.keywords}:
            yield call


def _is_template_name(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value in _TEMPLATE | _APPLY


FINDERS = (assigned_templates, applied_templates, messages)
