"""Finders of the check for second owners, one module a concern."""

import ast
from collections.abc import Callable, Iterator

from ctai.provenance.canonical_use.syntax import ParsedModule

Finder = Callable[[ParsedModule], Iterator[ast.AST]]
