"""Texts of string expressions: f-strings, concatenations, formatting and joins, with holes for values filled in later."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

HOLE = "\0"
MAX_REPEAT = 8

_FIELD = re.compile(r"(\{\{|\}\}|\{[^{}]*\})")
_PERCENT = re.compile(r"%(?:\(\w*\))?[-+ #0]*(?:\d+|\*)?(?:\.\d+)?[a-zA-Z%]")
_CASES = {"upper": str.upper, "lower": str.lower, "title": str.title, "capitalize": str.capitalize}
_SAME_TEXT = {
    "strip",
    "lstrip",
    "rstrip",
    "replace",
    "encode",
    "expandtabs",
    "removeprefix",
    "removesuffix",
    "substitute",
}
_OF_ARGUMENT = {"dedent", "str", "Template", "indent"}


class Rendered(NamedTuple):
    """A string expression: its text, a hole for each value not known before it runs, and the expressions of the holes."""

    text: str
    holes: tuple[ast.expr, ...] = ()


def string_expressions(nodes: Sequence[ast.AST], strings: Mapping[str, str]) -> Iterator[tuple[ast.expr, str]]:
    """Yield the outermost string expressions among nodes, each with its text.

    Args:
        nodes: all nodes of a module, parents before children.
        strings: constants of the module that hold a string.
    """
    inside: set[int] = set()
    for node in nodes:
        if id(node) in inside or not isinstance(node, ast.expr) or isinstance(node, ast.Name):
            continue
        rendered = render(node, strings)
        if rendered is not None:
            holes = {id(part) for hole in rendered.holes for part in ast.walk(hole)}
            inside |= {id(part) for part in ast.walk(node)} - holes
            yield node, rendered.text


def render(node: ast.expr, strings: Mapping[str, str]) -> Rendered | None:
    """Return the text of an expression, or None if it is not known to be a string."""
    match node:
        case ast.Constant(value=str(text)):
            return Rendered(text)
        case ast.Constant(value=bytes(data)):
            return Rendered(data.decode("latin-1"))
        case ast.Name(id=name) if name in strings:
            return Rendered(strings[name])
        case ast.JoinedStr(values=values):
            return _concat([_part(value, strings) for value in values])
        case ast.BinOp():
            return _operation(node, strings)
        case ast.Call():
            return _call(node, strings)
        case ast.NamedExpr(value=value):
            return render(value, strings)
        case ast.IfExp(body=body, orelse=orelse):
            first, second = render(body, strings), render(orelse, strings)
            return first._replace(holes=(*first.holes, orelse)) if first and first.text else second
    return None


def _part(node: ast.expr, strings: Mapping[str, str]) -> Rendered:
    """Render an expression that becomes part of a string, whatever it is."""
    value = node.value if isinstance(node, ast.FormattedValue | ast.Starred) else node
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
        return Rendered(str(value.value))
    return render(value, strings) or Rendered(HOLE, (value,))


def _concat(parts: Sequence[Rendered], separator: str = "") -> Rendered:
    holes = tuple(hole for part in parts for hole in part.holes)
    return Rendered(separator.join(part.text for part in parts), holes)


def _operation(node: ast.BinOp, strings: Mapping[str, str]) -> Rendered | None:
    left, right = render(node.left, strings), render(node.right, strings)
    if isinstance(node.op, ast.Add) and (left or right):
        return _concat([left or _part(node.left, strings), right or _part(node.right, strings)])
    if isinstance(node.op, ast.Mult) and left:
        times = node.right.value if isinstance(node.right, ast.Constant) and isinstance(node.right.value, int) else 1
        return left._replace(text=left.text * max(0, min(times, MAX_REPEAT)))
    if isinstance(node.op, ast.Mod) and left:
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _percent(left, [_part(value, strings) for value in values])
    return None


def _percent(template: Rendered, values: Sequence[Rendered]) -> Rendered:
    following = iter(values)

    def fill(field: re.Match[str]) -> str:
        if field[0].endswith("%"):
            return "%"
        value = next(following, None)
        return HOLE if value is None else value.text

    text = _PERCENT.sub(fill, template.text)
    return Rendered(text, (*template.holes, *(hole for value in values for hole in value.holes)))


def _call(node: ast.Call, strings: Mapping[str, str]) -> Rendered | None:
    function = node.func
    name = (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
    if name in _OF_ARGUMENT and node.args and (argument := render(node.args[0], strings)):
        return argument
    receiver = render(function.value, strings) if isinstance(function, ast.Attribute) else None
    if name == "join":
        return _join(node, receiver, strings)
    if receiver is None:
        return None
    if name in ("format", "format_map"):
        return _format(receiver, node, strings)
    if name in _CASES:
        return receiver._replace(text=_CASES[name](receiver.text))
    if name in _SAME_TEXT:
        return receiver._replace(holes=(*receiver.holes, *node.args))
    return None


def _format(template: Rendered, node: ast.Call, strings: Mapping[str, str]) -> Rendered:
    values = [_part(value, strings) for value in node.args]
    named = {word.arg: _part(word.value, strings) for word in node.keywords}
    following = iter(values)

    def fill(field: re.Match[str]) -> str:
        if field[0] in ("{{", "}}"):
            return field[0][0]
        name = re.split(r"[.\[!:]", field[0][1:-1])[0]
        if name.isdigit():
            value = values[int(name)] if int(name) < len(values) else None
        else:
            value = named.get(name) if name else next(following, None)
        return HOLE if value is None else value.text

    text = _FIELD.sub(fill, template.text)
    return Rendered(text, (*template.holes, *(hole for value in [*values, *named.values()] for hole in value.holes)))


def _join(node: ast.Call, receiver: Rendered | None, strings: Mapping[str, str]) -> Rendered | None:
    """Render `separator.join(items)` and `str.join(separator, items)`."""
    arguments = list(node.args)
    if receiver is None and len(arguments) == 2:
        receiver = render(arguments.pop(0), strings)
    if receiver is None or len(arguments) != 1:
        return None
    (items,) = arguments
    if isinstance(items, ast.List | ast.Tuple):
        return _concat([_part(item, strings) for item in items.elts], receiver.text)
    if isinstance(items, ast.GeneratorExp | ast.ListComp):
        item = _part(items.elt, strings)
        joined = _concat([item, item._replace(holes=())], receiver.text)
        return joined._replace(holes=(*joined.holes, *(part.iter for part in items.generators)))
    return Rendered(f"{HOLE}{receiver.text}{HOLE}", (items,))
