"""Finders of statistics: packages, quantiles, resampling, and intervals and tests written by hand."""

import ast
import re
from collections.abc import Iterator, Mapping

from ctai.provenance.canonical_use.syntax import ParsedModule, Scope, argument, keyword, leaf

_PACKAGES = {
    "scipy", "statsmodels", "sklearn", "statistics", "pingouin", "arch", "lifelines", "uncertainties", "bootstrapped", "pymc",
    "scikits", "mlxtend",
}  # fmt: skip
_ARRAY_PACKAGES = {"numpy", "torch", "jax", "cupy", "pandas", "polars"}
_QUANTILE_METHODS = {"quantile", "quantiles", "percentile", "nanquantile", "nanpercentile", "nanmedian"}
_QUANTILES = _QUANTILE_METHODS | {"median", "corrcoef", "cov"}
_LOOPS: tuple[type[ast.AST], ...] = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)
_SQUARE_ROOTS = {"sqrt", "isqrt"}
_POWERS = {"pow", "power"}
_DEVIATIONS = {"std", "stdev", "pstdev", "nanstd"}
# Quantiles of the normal distribution and of chi-squared with one degree of freedom, as they are typed.
_CRITICAL = re.compile(r"1\.96|1\.9599|1\.64[45]|2\.57[56]|2\.58$|1\.281|2\.326|3\.29|3\.84|6\.63")
_CRITICAL_NAME = re.compile(r"(?i)^z(?:_|$)|^z\d|_z$|crit|quantile")
_STATISTIC_NAME = re.compile(r"(?i)z|chi|chi2|stat|statistic|t")
# Parts of tails of the normal and the binomial distribution; in PyTorch they are parts of activations.
_TAILS = {"erf", "erfc", "erfinv", "ndtr", "ndtri", "betainc", "betaincinv", "NormalDist", "lgamma", "gammaln"}
_COMBINATIONS = {"comb", "binom"}
_ARC_SINES = {"asin", "arcsin"}


def packages(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield imports of packages for statistics, at the top, in a function or by an importer."""
    yield from (node for node, name in module.imported_modules() if name.split(".")[0] in _PACKAGES)


def quantiles(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield quantiles of arrays, by function or by method; functions of ctai by the same names are none."""
    for node, names in module.references:
        parts = [name.split(".") for name in names]
        if any(part[0] in _ARRAY_PACKAGES and part[-1] in _QUANTILES for part in parts):
            yield node
    for call in module.of(ast.Call):
        if isinstance(call.func, ast.Attribute) and not any(n.startswith("ctai.") for n in module.names(call.func)):
            is_median = call.func.attr == "median" and not call.args and not call.keywords
            if is_median or call.func.attr in _QUANTILE_METHODS:
                yield call
    ordered = {name for name, value in module.bindings if _is_sorted(value)}
    for item in module.of(ast.Subscript):
        named = isinstance(item.value, ast.Name) and item.value.id in ordered
        if (named or _is_sorted(item.value)) and _is_share_of_length(item.slice):
            yield item


def resampling(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield draws with replacement of as many as there are, and draws of many in a loop: a bootstrap by hand."""
    yield from filter(_resamples, module.of(ast.Call))
    for kind in _LOOPS:
        for loop in module.of(kind):
            rounds = _rounds(loop)
            for call in (part for part in ast.walk(loop) if isinstance(part, ast.Call)):
                if _draws_many(call) or any(_draws_from(call, number) for number in rounds):
                    yield call


def intervals(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield intervals and standard errors by hand: roots of p(1 - p), deviations over a root, variances with n - 1."""
    roots = _roots(module)
    for division in module.of(ast.BinOp):
        if isinstance(division.op, ast.Div):
            is_error = division.right in roots and _has_call(division.left, _DEVIATIONS)
            if is_error or _is_variance(division):
                yield division
    for scope in module.scopes:
        if not roots.keys().isdisjoint(scope.nodes):
            yield from _proportion_errors(scope, roots)


def critical_values(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield quantiles of a distribution: as factors, under a name such as `z`, or as bounds of a statistic."""
    for operation in module.of(ast.BinOp):
        if isinstance(operation.op, ast.Mult | ast.Pow):
            yield from filter(_is_critical, (operation.left, operation.right))
    for comparison in module.of(ast.Compare):
        if _STATISTIC_NAME.fullmatch(leaf(comparison.left)):
            yield from filter(_is_critical, comparison.comparators)
    bindings = [(word.arg, word.value) for word in module.of(ast.keyword) if word.arg] + module.bindings
    yield from (value for name, value in bindings if _CRITICAL_NAME.search(name) and _is_critical(value))


def tests(module: ParsedModule) -> Iterator[ast.AST]:
    """Yield tests and effect sizes by hand: tails of distributions, binomial probabilities, Cohen's h and kappa, McNemar."""
    for node, names in module.references:
        if any(name.rpartition(".")[2] in _TAILS and not name.startswith("torch.") for name in names):
            yield node
    for operation in module.of(ast.BinOp):
        if isinstance(operation.op, ast.Mult | ast.Div) and _is_test(operation):
            yield operation
    roots = _roots(module)
    for call in module.of(ast.Call):
        if module.is_called(call, _ARC_SINES) and any(part in roots for value in call.args for part in ast.walk(value)):
            yield call


# ---------------------------------------------------------------------------------------- quantiles and resampling


def _is_sorted(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and leaf(node.func) == "sorted"


def _is_share_of_length(index: ast.expr) -> bool:
    """Tell whether an index is a share of a length, such as len(x) // 2."""
    if isinstance(index, ast.Slice):
        return False
    operations = [part.op for part in ast.walk(index) if isinstance(part, ast.BinOp)]
    is_share = any(isinstance(operation, ast.FloorDiv | ast.Mult | ast.Div) for operation in operations)
    return is_share and _has_call(index, {"len"})


def _rounds(loop: ast.AST) -> list[ast.expr]:
    """Return the iteration count of a loop: the n of range(n), or the values of `for _ in values`."""
    iterables = [part.iter for part in getattr(loop, "generators", ())]
    if isinstance(loop, ast.For):
        iterables = [loop.iter]
    return [
        part.args[0] if isinstance(part, ast.Call) and leaf(part.func) == "range" and len(part.args) == 1 else part
        for part in iterables
    ]


def _draws_from(call: ast.Call, number: ast.expr) -> bool:
    """Tell whether a call draws one of as many values, or indices, as there are rounds."""
    if isinstance(number, ast.Constant) or len(call.args) != 1:
        return False
    if leaf(call.func) == "choice":
        return _is_length_of(number, call.args[0])
    return leaf(call.func) in {"randrange", "integers", "randint"} and _same(number, call.args[0])


def _resamples(call: ast.Call) -> bool:
    """Tell whether as many are drawn as there are: of values, or of their indices."""
    function = leaf(call.func)
    if function in {"choice", "choices"} and call.args:
        size = argument(call, 1, "size") or keyword(call, "k")
        return any(_is_length_of(part, call.args[0]) for part in _dimensions(size))
    if function in {"integers", "randint", "random_integers"}:
        bounds = [bound for bound in (keyword(call, "high"), *call.args[:2]) if bound is not None]
        return any(_same(part, bound) for part in _dimensions(argument(call, 2, "size")) for bound in bounds)
    return function in {"bootstrap", "resample"} and isinstance(call.func, ast.Name)


def _draws_many(call: ast.Call) -> bool:
    """Tell whether a call draws several values from an array: `choice(values, n)`, with replacement unless it says not."""
    if leaf(call.func) != "choice" or not call.args:
        return False
    replace = keyword(call, "replace")
    if isinstance(replace, ast.Constant) and replace.value is False:
        return False
    return replace is not None or argument(call, 1, "size") is not None


def _dimensions(size: ast.expr | None) -> list[ast.expr]:
    if isinstance(size, ast.Tuple | ast.List):
        return size.elts
    return [] if size is None else [size]


def _is_length_of(node: ast.expr, values: ast.expr) -> bool:
    """Tell whether an expression is the number of some values, or the same number as they are drawn from."""
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[counted]):
            return _same(counted, values)
        case ast.Attribute(attr="size", value=array) | ast.Subscript(value=ast.Attribute(attr="shape", value=array)):
            return _same(array, values)
    return _same(node, values) and not isinstance(node, ast.Constant)


# ----------------------------------------------------------------------------------------------------- intervals


def _roots(module: ParsedModule) -> dict[ast.AST, ast.expr]:
    """Return the square roots of a module, each with its operand: by `sqrt`, by `** 0.5` or by `pow`."""
    roots: dict[ast.AST, ast.expr] = {}
    for power in module.of(ast.BinOp):
        if isinstance(power.op, ast.Pow) and _is_half(power.right):
            roots[power] = power.left
    for call in module.of(ast.Call):
        if module.is_called(call, _SQUARE_ROOTS):
            if call.args:
                roots[call] = call.args[0]
            elif isinstance(call.func, ast.Attribute):
                roots[call] = call.func.value
        elif module.is_called(call, _POWERS) and len(call.args) == 2 and _is_half(call.args[1]):
            roots[call] = call.args[0]
    return roots


def _is_half(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=0.5) | ast.BinOp(left=ast.Constant(value=1), op=ast.Div(), right=ast.Constant(value=2)):
            return True
    return False


def _proportion_errors(scope: Scope, roots: Mapping[ast.AST, ast.expr]) -> Iterator[ast.AST]:
    """Yield the roots of variances of proportions, followed through the names of a scope."""
    complements = {name: ast.dump(part) for name, value in scope.bindings() if (part := _subtrahend(value)) is not None}
    variances = {name for name, value in scope.bindings() if _has_proportion_variance(value, complements)}
    for node in scope.nodes:
        if node in roots:
            named = any(isinstance(part, ast.Name) and part.id in variances for part in ast.walk(roots[node]))
            if named or _has_proportion_variance(roots[node], complements):
                yield node


def _has_proportion_variance(node: ast.AST, complements: Mapping[str, str]) -> bool:
    """Tell whether p * (1 - p), k * (n - k) or p - p**2 is part of an expression.

    Args:
        node: the expression.
        complements: names such as q = 1 - p, each with the dump of the p.
    """
    return any(_is_proportion_variance(part, complements) for part in ast.walk(node) if isinstance(part, ast.BinOp))


def _is_proportion_variance(node: ast.BinOp, complements: Mapping[str, str]) -> bool:
    if isinstance(node.op, ast.Sub):
        match node.right:
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
                return _same(left, node.left)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return _same(left, node.left) and _same(right, node.left)
        return False
    factors = list(_factors(node))
    dumps = {ast.dump(factor) for factor in (*factors, node.left, node.right)}
    return any(_complement(factor, complements) in dumps for factor in factors)


def _factors(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the factors of a product, and those above the line of a fraction."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        yield from _factors(node.left)
        if isinstance(node.op, ast.Mult):
            yield from _factors(node.right)
    else:
        yield node


def _complement(node: ast.expr, complements: Mapping[str, str]) -> str | None:
    """Return the dump of the proportion whose complement a factor is."""
    if isinstance(node, ast.Name) and node.id in complements:
        return complements[node.id]
    subtrahend = _subtrahend(node)
    return None if subtrahend is None else ast.dump(subtrahend)


def _subtrahend(node: ast.expr) -> ast.expr | None:
    return node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) else None


def _is_critical(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and bool(_CRITICAL.match(str(node.value)))


def _is_variance(division: ast.BinOp) -> bool:
    """Tell whether a sum of squares is divided by a number less 1."""
    match division.right:
        case ast.BinOp(op=ast.Sub(), right=ast.Constant(value=1)):
            powers = [part for part in ast.walk(division.left) if isinstance(part, ast.BinOp)]
            is_square = any(isinstance(part.op, ast.Pow) and _same(part.right, ast.Constant(2)) for part in powers)
            return is_square and _has_call(division.left, {"sum"})
    return False


# --------------------------------------------------------------------------------------------------------- tests


def _is_test(node: ast.BinOp) -> bool:
    return _is_binomial(node) or _is_mcnemar(node) or _is_kappa(node)


def _is_binomial(node: ast.BinOp) -> bool:
    """Tell whether numbers of combinations are weighted by powers."""
    weighted = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow) for part in ast.walk(node))
    return weighted and _has_call(node, _COMBINATIONS)


def _is_mcnemar(node: ast.BinOp) -> bool:
    """Tell whether a squared difference is divided by the sum of the same two: (b - c)**2 / (b + c)."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=2)),
            op=ast.Div(),
            right=ast.BinOp(left=first, op=ast.Add(), right=second),
        ):
            differences = [
                part for part in ast.walk(base) if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub)
            ]
            return any(_same(part.left, first) and _same(part.right, second) for part in differences)
    return False


def _is_kappa(node: ast.BinOp) -> bool:
    """Tell whether an agreement is corrected for chance: (a - e) / (1 - e)."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(op=ast.Sub(), right=chance),
            op=ast.Div(),
            right=ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=subtrahend),
        ):
            return _same(chance, subtrahend)
    return False


def _has_call(node: ast.expr, functions: set[str]) -> bool:
    return any(isinstance(part, ast.Call) and leaf(part.func) in functions for part in ast.walk(node))


def _same(first: ast.expr, second: ast.expr) -> bool:
    return ast.dump(first) == ast.dump(second)


FINDERS = (packages, quantiles, resampling, intervals, critical_values, tests)
