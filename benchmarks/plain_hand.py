"""Count how dense a package's code is, side by side for any number of packages.

    python benchmarks/plain_hand.py src/recontour PATH_TO/httpx PATH_TO/torchio

Each argument is a folder of Python files. A line of code is one with a token that is not part of a
docstring or a comment. Functions are counted with radon (cyclomatic complexity); their length is
from `def` to the last line, without the docstring. A class name has several meanings if two files
of a package define it.
"""

import ast
import io
import json
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from radon.complexity import cc_visit

WIDTH = 100
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in one package."""

    lines_of_code: int
    tokens_per_line: float
    comprehensions_per_100: float
    nested_comprehensions_per_1000: float
    percent_of_lines_over_width: float
    functions: int
    percent_of_functions_above_10: float
    functions_above_15: int
    median_function: float
    longest_function: int
    class_names_with_several_meanings: int


def counted(package: Path) -> Counts:
    """Count one package."""
    tokens = code_lines = all_lines = wide_lines = 0
    comprehensions = nested = 0
    complexities: list[int] = []
    lengths: list[int] = []
    classes: Counter[str] = Counter()
    for path in sorted(package.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        documentation = set(docstring_lines(tree))
        by_line = tokens_by_line(source, documentation)
        tokens += sum(by_line.values())
        code_lines += len(by_line)
        lines = source.splitlines()
        all_lines += len(lines)
        wide_lines += sum(len(line) > WIDTH for line in lines)
        found = [node for node in ast.walk(tree) if isinstance(node, COMPREHENSIONS)]
        comprehensions += len(found)
        nested += sum(map(is_nested, found))
        complexities.extend(complexities_of(source))
        lengths.extend(function_lengths(tree))
        classes.update({node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)})
    above_10 = sum(complexity > 10 for complexity in complexities)
    return Counts(
        lines_of_code=code_lines,
        tokens_per_line=round(tokens / code_lines, 2),
        comprehensions_per_100=round(100 * comprehensions / code_lines, 2),
        nested_comprehensions_per_1000=round(1000 * nested / code_lines, 2),
        percent_of_lines_over_width=round(100 * wide_lines / all_lines, 2),
        functions=len(complexities),
        percent_of_functions_above_10=round(100 * above_10 / len(complexities), 2),
        functions_above_15=sum(complexity > 15 for complexity in complexities),
        median_function=median(lengths),
        longest_function=max(lengths),
        class_names_with_several_meanings=sum(count > 1 for count in classes.values()),
    )


def docstring_lines(tree: ast.Module) -> Iterator[int]:
    """Yield the numbers of the lines that docstrings take."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            yield from range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1)


def tokens_by_line(source: str, documentation: set[int]) -> Counter[int]:
    """Count the tokens of each line of code."""
    count: Counter[int] = Counter()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type not in NO_CODE and line not in documentation:
            count[line] += 1
    return count


def is_nested(comprehension: ast.AST) -> bool:
    """Whether a comprehension has a second `for`, or another comprehension inside."""
    inside = [node for node in ast.walk(comprehension) if isinstance(node, COMPREHENSIONS)]
    loops = [node for node in ast.walk(comprehension) if isinstance(node, ast.comprehension)]
    return len(inside) > 1 or len(loops) > 1


def complexities_of(source: str) -> Iterator[int]:
    """Yield each function's and method's cyclomatic complexity."""
    for block in cc_visit(source):
        if block.letter in "FM":
            yield block.complexity


def function_lengths(tree: ast.Module) -> Iterator[int]:
    """Yield how many lines each function has, without its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            documentation = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (documentation.end_lineno or 0) - documentation.lineno + 1
            yield lines


def main(arguments: Sequence[str]) -> None:
    """Print the counts side by side, and as JSON."""
    columns = {}
    for number, argument in enumerate(arguments, start=1):
        package = Path(argument)
        columns[f"{number} {package.name}"] = asdict(counted(package))
    rows = list(next(iter(columns.values())))
    print(f"{'':38}" + "".join(f"{name:>14}" for name in columns))
    for row in rows:
        print(f"{row.replace('_', ' '):38}" + "".join(f"{c[row]:>14}" for c in columns.values()))
    print(json.dumps(columns))


if __name__ == "__main__":
    main(sys.argv[1:])
