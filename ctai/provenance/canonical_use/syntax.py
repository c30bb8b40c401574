"""Syntax trees of modules: names resolved through imports and aliases, docstrings left out."""

import ast
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar, cast

from ctai.provenance.canonical_use.strings import render, string_expressions

_IMPORTERS = {"import_module", "__import__", "importorskip"}
_ALIAS_PASSES = 3  # aliases of aliases of aliases
_USUAL_ALIASES = {"np": "numpy", "pd": "pandas", "pl": "polars"}  # of names that a module does not bind
_BINDING = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.arguments)

Node = TypeVar("Node", bound=ast.AST)


class Source(NamedTuple):
    """The text of a module, and its path from the folder that holds its package."""

    path: str
    text: str


class Scope(NamedTuple):
    """Nodes among which names are followed: those of an outermost function, or those outside of all functions."""

    nodes: Sequence[ast.AST]

    def bindings(self) -> list[tuple[str, ast.expr]]:
        """Return the plain names that are bound, each with its value."""
        return [pair for node in self.nodes if isinstance(node, _BINDING) for pair in assignments(node)]


class ParsedModule:
    """A module whose expressions can be asked for the dotted names that they stand for.

    Names are resolved without regard to scopes: a name stands for everything that the module binds to it.

    Raises:
        SyntaxError, ValueError, RecursionError: the text is no Python.
    """

    def __init__(self, source: Source) -> None:
        self.path = source.path
        self.lines = source.text.splitlines()
        self._tree = ast.parse(source.text)
        self.nodes = tuple(_code(self._tree))
        self._of_kind: dict[type, list[ast.AST]] = defaultdict(list)
        for node in self.nodes:
            self._of_kind[type(node)].append(node)
        self._aliases: dict[str, set[str]] = defaultdict(set, open={"open"})
        self._star_imports: set[str] = set()
        self._imported: dict[ast.AST, set[str]] = {}
        for node in self.of(ast.Import):
            self._bind_import(node)
        for node_from in self.of(ast.ImportFrom):
            self._bind_import_from(node_from)
        self.bindings = Scope(self.nodes).bindings()
        self._bind_assignments()
        self.strings = dict(_string_constants(self.of(ast.Name), self.bindings))

    def of(self, kind: type[Node]) -> Sequence[Node]:
        """Return the nodes of one kind."""
        return cast("Sequence[Node]", self._of_kind[kind])

    @cached_property
    def references(self) -> tuple[tuple[ast.AST, set[str]], ...]:
        """The nodes that stand for dotted names, each with its names; see `names`."""
        kinds = (ast.Name, ast.Attribute, ast.alias, ast.Call, ast.Subscript)
        return tuple((node, names) for kind in kinds for node in self.of(kind) if (names := self.names(node)))

    @cached_property
    def string_expressions(self) -> tuple[tuple[ast.expr, str], ...]:
        """The outermost string expressions, each with its text."""
        return tuple(string_expressions(self.nodes, self.strings))

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """Outermost functions, and the code outside of all functions."""
        functions: list[Scope] = []
        outside: list[ast.AST] = []
        parents: list[ast.AST] = [self._tree]
        while parents:
            for child in ast.iter_child_nodes(parents.pop()):
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    functions.append(Scope(tuple(ast.walk(child))))
                else:
                    outside.append(child)
                    parents.append(child)
        return (*functions, Scope(outside))

    def names(self, node: ast.AST) -> set[str]:
        """Return the dotted names that a node may stand for; `?` is the part that is no name.

        `getattr(x, "name")` and `x.__dict__["name"]` are `x.name`; `import_module("x")` is `x`.
        """
        if node in self._imported:
            return self._imported[node]
        root, dot, rest = _dotted(node).partition(".")
        if not root:
            return set()
        if root in self._aliases:
            return {f"{target}{dot}{rest}" for target in self._aliases[root]}
        usual = _USUAL_ALIASES.get(root, root)
        return {f"{usual}{dot}{rest}", *(f"{module}.{root}{dot}{rest}" for module in self._star_imports)}

    def is_called(self, call: ast.Call, functions: Container[str]) -> bool:
        """Tell whether a call is of a function or method by one of these names, or of an alias of one."""
        if leaf(call.func) in functions:
            return True
        aliases = self._aliases.get(call.func.id, ()) if isinstance(call.func, ast.Name) else ()
        return any(target.rpartition(".")[2] in functions for target in aliases)

    def imported_modules(self) -> Iterator[tuple[ast.AST, str]]:
        """Yield import statements and calls of importers, each with the name of a module that it imports."""
        yield from ((node, alias.name) for node in self.of(ast.Import) for alias in node.names)
        yield from ((node, node.module) for node in self.of(ast.ImportFrom) if node.module and not node.level)
        for call in self.of(ast.Call):
            if call.args and leaf(call.func) in _IMPORTERS:
                yield call, _text(call.args[0])

    def _bind_import(self, node: ast.Import) -> None:
        for alias in node.names:
            target = alias.name if alias.asname else alias.name.split(".")[0]
            self._aliases[alias.asname or target].add(target)
            self._imported[alias] = {alias.name}

    def _bind_import_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            self._imported[alias] = {f"{module}.{alias.name}"}
            if alias.name == "*":
                self._star_imports.add(module)
            else:
                self._aliases[alias.asname or alias.name].add(f"{module}.{alias.name}")

    def _bind_assignments(self) -> None:
        """Bind names that are assigned something imported; other assignments leave a name as it is."""
        dotted = [(name, value, root) for name, value in self.bindings if (root := _dotted(value).split(".")[0])]
        for _ in range(_ALIAS_PASSES):
            for name, value, root in dotted:
                if root in self._aliases or isinstance(value, ast.Call):
                    self._aliases[name] |= {target for target in self.names(value) if not target.startswith("?")}


def leaf(node: ast.AST) -> str:
    """Return the last part of a dotted name, such as `load` of `torch.load` and of `f().load`; empty for others."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return _dotted(node).rpartition(".")[2]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value that a call gives a keyword argument."""
    return next((word.value for word in call.keywords if word.arg == name), None)


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """Return the value that a call gives an argument by position or by name."""
    return call.args[position] if len(call.args) > position else keyword(call, name)


def assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the plain names that a statement or parameter list binds, each with its value."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _unpacked(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield from _unpacked(node.target, node.value)
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        with_default = positional[len(positional) - len(node.defaults) :]
        yield from ((parameter.arg, value) for parameter, value in zip(with_default, node.defaults, strict=True))
        for parameter, value in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if value is not None:
                yield parameter.arg, value


def object_of_attributes(node: ast.expr) -> str:
    """Return the object whose attributes `x.__dict__` or `vars(x)` holds."""
    if isinstance(node, ast.Attribute) and node.attr == "__dict__":
        return _dotted(node.value) or "?"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars" and node.args:
        return _dotted(node.args[0]) or "?"
    return ""


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for part, part_value in zip(target.elts, value.elts, strict=True):
            yield from _unpacked(part, part_value)


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes, parents before children, but docstrings and other strings that are statements."""
    parents = [tree]
    while parents:
        for child in ast.iter_child_nodes(parents.pop()):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            yield child
            parents.append(child)


def _string_constants(names: Sequence[ast.Name], bindings: Sequence[tuple[str, ast.expr]]) -> Iterator[tuple[str, str]]:
    """Yield the names that a module binds once, to a string."""
    times = Counter(name.id for name in names if not isinstance(name.ctx, ast.Load))
    for name, value in bindings:
        if times[name] == 1 and isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield name, value.value


def _text(node: ast.expr) -> str:
    rendered = render(node, {})
    return rendered.text if rendered is not None else ""


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value) or '?'}.{node.attr}"
    if isinstance(node, ast.Call):
        return _dotted_call(node)
    if isinstance(node, ast.Subscript) and (owner := object_of_attributes(node.value)):
        return f"{owner}.{_text(node.slice)}"
    return ""


def _dotted_call(node: ast.Call) -> str:
    function = leaf(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
    if function == "getattr" and len(node.args) > 1 and (name := _text(node.args[1])):
        return f"{_dotted(node.args[0]) or '?'}.{name}"
    if function in _IMPORTERS and node.args:
        return _text(node.args[0])
    return ""
