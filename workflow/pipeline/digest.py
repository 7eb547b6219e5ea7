"""A digest of the code that a rule script runs, so that an edit re-runs the stages that use it.

Code runs because code that runs names it, or because its module is imported. The digest of a script covers

- the script, and of the modules of our own that it imports, directly or not, the top-level definitions (functions,
  classes, assigned names) that it names or that these name in turn. A definition counts whole, with the imports whose
  names it uses; a local variable that is called like another definition counts as its use;
- of each imported module, and of the packages that it is in, the statements that are neither definitions nor imports,
  and the definitions that call anything while the module is imported: a decorator (which may enter them in a
  registry), a base class, a function in a default or an assigned value. A few harmless ones are known by name; so a
  package's lazy face counts where it is used, not where names are imported from the package's modules; the stub
  (.pyi) beside it, which lists them, counts with its `__getattr__`.

Of a module all counts, with what that names, where it is used as an object; where a name is imported that it does not
visibly define, as from a face; for a star import; for a text that is exactly its dotted name; and for code in it with
`globals`, `locals`, `vars`, `eval` or `exec`. All that is in a package counts then. Code that names `import_module`,
`__import__`, `run_module`, `run_path` or `sys.modules` makes all of our packages count.

Comments, layout, docstrings, the order of definitions, annotations of functions and of variables outside of classes,
and what stands below `if TYPE_CHECKING` do not count. But a module that uses `__doc__` counts as it stands there,
and annotations do below decorators that may read them. What is left out does not count, nor does what is reached
through it alone. Not seen: annotations read by `typing.get_type_hints`; other files that are not Python's; other
people's packages, whose versions are the environment's.

Hashed are syntax trees, written without empty fields: unlike `ast.dump`, and unlike `ast.unparse`, whose quotes
in f-strings changed with Python 3.12, this does not differ between versions of Python.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from hashlib import blake2b
from importlib.util import resolve_name
from itertools import accumulate, chain
from pathlib import Path
from typing import NamedTuple

STATEMENTS = "<module>"
"""Stands, in place of a name, for a module's statements that are neither definitions nor imports."""

_WHOLE = "*"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Called while a module is imported, they change nothing beside what they return, and read no function's annotations.
_HARMLESS = frozenset(
    ["attach", "cache", "cached_property", "classmethod", "contextmanager", "dataclass", "field"]
    + ["property", "staticmethod"]
)
# These are searched for in what is hashed.
_NAME = re.compile(r"Name\(id='(\w+)'")
_TEXT = re.compile(r"Constant\(value='([\w.]+)'\)")
_READS_DOCSTRINGS = re.compile(r"(id|attr|value)='__doc__'")
_SEES_ITS_MODULE = re.compile(r"Name\(id='(globals|locals|vars|eval|exec)'")
_SEES_ALL_MODULES = re.compile(r"'(import_module|__import__|run_module|run_path)'|'sys'(\),attr=| )'modules'")


def code_digest(script: Path, packages: Mapping[str, Path], left_out: Collection[str] = ()) -> str:
    """16 hexadecimal digits that change with the code that a script runs; the module's docstring has the rules.

    Parameters
    ----------
    script: a rule's script; modules in its folder are our own as well.
    packages: name -> folder, of each package of our own.
    left_out: modules of our own, and single definitions (``module:name``), that change no result.

    Raises
    ------
    ValueError: a syntax error, or a module of our own that is imported but does not exist.
    """
    digests = definition_digests(script, packages, left_out)
    return _digest("\n".join(f"{name} {digest}" for name, digest in digests.items()))


def definition_digests(
    script: Path, packages: Mapping[str, Path], left_out: Collection[str] = ()
) -> dict[str, str]:
    """What `code_digest` is made of: definition -> digest, e.g. "brainlm.errors:about" -> "8c7f…"; sorted."""
    code, reached = _Code(script, packages), set()
    pending = [(script.stem, name) for name in (STATEMENTS, *code.module(script.stem).definitions)]
    while pending:
        module, name = pending.pop()
        inside = {f"{module}:{name}", *accumulate(module.split("."), "{}.{}".format)}
        if (module, name) not in reached and inside.isdisjoint(left_out):
            reached.add((module, name))
            pending += code.used_by(module, name)
    texts = {f"{module}:{name}": code.text(module, name) for module, name in sorted(reached)}
    return {name: _digest(text) for name, text in texts.items() if text}


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


class _Code:
    """The modules of our own, and which of their definitions use which."""

    def __init__(self, script: Path, packages: Mapping[str, Path]) -> None:
        self._packages = packages
        self._paths = dict(chain(*(_modules(*of).items() for of in [("", script.parent), *packages.items()])))

    def module(self, name: str) -> "_Module":
        return _read(self._paths[name], name)

    def text(self, module: str, name: str) -> str:
        """A definition, and the imports that it uses."""
        code = self.module(module)
        text = code.definitions.get(name, "")
        used = {name, *_NAME.findall(text), *("*" if text else "")}
        imports = [
            f"{source!r} {what!r} {use}" for use in used for source, what, _ in code.imports.get(use, [])
        ]
        return "\n".join(filter(None, [text, *sorted({*imports})]))

    def used_by(self, module: str, name: str) -> Iterator[tuple[str, str]]:
        """Modules and names of definitions that run where this one does."""
        code, text, inner = self.module(module), self.text(module, name), f"{module}.{name}"
        yield module, STATEMENTS
        if name == STATEMENTS:
            yield from self._run_by_importing(module)
        elif name == _WHOLE:
            yield from ((module, other) for other in [*code.definitions, *code.imports])
            yield from ((other, _WHOLE) for other in self._paths if other.startswith(f"{module}."))
        elif inner in self._paths:
            yield inner, _WHOLE
        elif name not in code.definitions and name not in code.imports:
            yield module, _WHOLE
        for use in {name, "*", *_NAME.findall(text)}:
            if use in code.definitions:
                yield module, use
            for source, what in self._own_imports(module, use):
                # `import brainlm.scores.latents` sets the name brainlm, by which every module can be used.
                yield (source, what) if what else (use if source.startswith(f"{use}.") else source, _WHOLE)
        yield from ((found, _WHOLE) for found in _TEXT.findall(text) if "." in found and found in self._paths)
        if _SEES_ITS_MODULE.search(text):
            yield module, _WHOLE
        if _SEES_ALL_MODULES.search(text):
            yield from ((seen, _WHOLE) for seen in (module, *self._packages))

    def _run_by_importing(self, module: str) -> Iterator[tuple[str, str]]:
        code, package = self.module(module), module.rpartition(".")[0]
        yield from ((module, name) for name in code.counted)
        imports = chain(*(self._own_imports(module, name) for name in code.imports))
        run = [package, *chain(*((source, f"{source}.{what}") for source, what in imports))]
        yield from ((other, STATEMENTS) for other in run if other in self._paths)

    def _own_imports(self, module: str, bound: str) -> Iterator[tuple[str, str | None]]:
        """Module and name of the imports that set a module's name, if they are of our own code."""
        # A package does not see the scripts: its `import cortex` is pycortex, though a script has this name.
        seen = self._packages if module.partition(".")[0] in self._packages else self._paths
        for source, what, line in self.module(module).imports.get(bound, []):
            if source.partition(".")[0] in seen:
                if source not in self._paths:
                    raise ValueError(f"{self._paths[module]}, line {line}: there is no module {source}.")
                yield source, what


@cache
def _modules(package: str, folder: Path) -> dict[str, Path]:
    """Dotted name -> file, of all modules in a package's folder; the package "" is a folder of scripts."""
    found = {}
    for file in folder.rglob("*.py"):
        parts = [package, *file.relative_to(folder).with_suffix("").parts]
        found[".".join(filter(None, parts)).removesuffix(".__init__")] = file
    return found


class _Module(NamedTuple):
    definitions: dict[str, str]
    """Name -> what sets it, written; `STATEMENTS` -> the other statements."""
    counted: set[str]
    """Definitions that count wherever the module is imported."""
    imports: dict[str, list[tuple[str, str | None, int]]]
    """Name -> the imports that set it: module, what is taken from it ("*" included; None for itself), line."""


@cache
def _read(path: Path, name: str) -> _Module:
    """Parsed once a process: most scripts share most modules."""
    tree = _parsed(path)
    module, package = _Module({}, set(), {}), name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in chain(*(node.orelse if _is_for_type_checkers(node) else [node] for node in tree.body)):
        for bound, imported in _imports(node, package):
            module.imports.setdefault(bound, []).append(imported)
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            names, text = _names_set(node) or {STATEMENTS}, _written(node)
            module.definitions.update({name: module.definitions.get(name, "") + text for name in names})
            module.counted.update(names if {*_called(node)} - _HARMLESS else ())
    stub = path.with_suffix(".pyi")
    if "__getattr__" in module.definitions and stub.exists():
        module.definitions["__getattr__"] += _written(_parsed(stub).body)
    if any(map(_READS_DOCSTRINGS.search, module.definitions.values())):
        module.definitions[STATEMENTS] = repr(path.read_bytes())
    return module


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}.") from None


def _is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _imports(statement: ast.stmt, package: str) -> Iterator[tuple[str, tuple[str, str | None, int]]]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], (alias.name, None, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                yield alias.asname or alias.name, (module, alias.name, node.lineno)


def _names_set(statement: ast.stmt) -> set[str]:
    """The module's names that a definition sets; empty for a statement that is none."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return {statement.name}
    stored = [part for part in ast.walk(statement) if isinstance(getattr(part, "ctx", None), ast.Store)]
    elsewhere = any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in stored)
    if elsewhere or not isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return set()
    return {part.id for part in stored if isinstance(part, ast.Name)}


def _called(node: ast.AST) -> Iterator[str]:
    """Names of what a statement calls while its module is imported."""
    inside = list(ast.iter_child_nodes(node))
    if isinstance(node, _FUNCTIONS):
        yield from map(_name_of, node.decorator_list)
        inside = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, ast.ClassDef):
        yield from map(_name_of, [*node.decorator_list, *node.bases, *(word.value for word in node.keywords)])
    elif isinstance(node, ast.Call):
        yield _name_of(node)
    for part in inside:
        yield from _called(part)


def _name_of(function: ast.expr) -> str:
    """Without what is before the last dot."""
    while isinstance(function, ast.Call):
        function = function.func
    return ast.unparse(function).rpartition(".")[2]


def _written(node: object, annotated: bool = False) -> str:
    """What counts of a syntax tree; `annotated` where annotations of arguments and variables do."""
    if isinstance(node, list):
        return f"[{','.join(filter(None, [_written(part, annotated) for part in node]))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.AnnAssign) and not annotated:
        node = ast.Assign([node.target], node.value) if node.value else ast.Expr(ast.Constant(None))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return ""
    # Context follows from the place in the tree; kind tells u"" from "".
    fields = {name: value for name, value in ast.iter_fields(node) if name not in ("ctx", "kind")}
    of_body = annotated
    if isinstance(node, ast.JoinedStr):
        # Python 3.12 has empty texts in f-strings.
        fields["values"] = [part for part in node.values if getattr(part, "value", None) != ""]
    elif isinstance(node, ast.arg) and not annotated:
        del fields["annotation"]
    elif isinstance(node, ast.ClassDef):
        of_body = True
    elif isinstance(node, _FUNCTIONS):
        of_body, annotated = False, not _HARMLESS.issuperset(map(_name_of, node.decorator_list))
        fields["returns"] = node.returns if annotated else None
    filled = {name: value for name, value in fields.items() if value not in (None, [])}
    inside = (
        f"{name}={_written(value, of_body if name == 'body' else annotated)}"
        for name, value in filled.items()
    )
    return f"{type(node).__name__}({','.join(inside)})"
