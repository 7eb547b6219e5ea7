"""A digest of the code that a rule script runs, so that an edit of a function re-runs the stages that use it.

Code runs because code that runs names it, or because it stands outside of functions in a module that is imported.
The digest of a script therefore covers

- the script, and in the modules of our own that it imports, directly or not, the top-level definitions (functions,
  classes, assigned names) that it names or that these name in turn. A class counts whole; base classes, decorators
  and default values count; so does the import of a name that is used, in case it comes to point elsewhere;
- of each imported module the statements that are neither definitions nor imports, and the definitions that call our
  own code while the module is imported: as a decorator (which may enter a function in a registry, unless it is a
  `@contextmanager`), as a base class, in an assigned value or in a default. What stands below
  `if __name__ == "__main__"` counts where `__name__` is used, for a module that runs itself as a program.

The whole module, with all that it names, counts where a module is used as an object (of `import brainlm.scores` every
module of the package, as the name is the package's), and for a star import, a text that is exactly a module's dotted
name, the import of a name that the module does not visibly define, and code with `globals`, `locals`, `vars`, `eval`
or `exec`. Code that imports by `import_module`, `__import__` or `runpy`, or looks into `sys.modules`, makes all
modules of our packages count.

Comments, layout, docstrings, the order of definitions, annotations of functions and of variables outside of classes,
and what stands below `if TYPE_CHECKING` do not count. But docstrings do in a module that mentions `__doc__`, and
annotations do below decorators other than Python's own, which may read them.

Modules and definitions that are left out do not count, nor does what is reached through them alone.

Not seen: what other people's code changes beside the value that is assigned, as in `old = np.seterr(all="raise")`;
annotations read by `typing.get_type_hints`; files other than Python's; other packages, whose versions are the
environment's.

Hashed are syntax trees, written without empty fields: unlike `ast.dump`, and unlike `ast.unparse`, whose quotes
in f-strings changed with Python 3.12, this does not differ between versions of Python, and results stay up to date
under another one.
"""

import ast
import re
import symtable
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b
from itertools import accumulate, chain
from pathlib import Path

STATEMENTS = "<module>"
"""Stands, in place of a name, for a module's statements that are neither definitions nor imports."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
# Decorators that do not read annotations.
_BLIND_DECORATORS = {"property", "classmethod", "staticmethod", "contextmanager", "cache", "cached_property"}
_SEES_ITS_MODULE = {"globals", "locals", "vars", "eval", "exec"}
_SEES_ALL_MODULES = re.compile(r"\b(import_module|__import__|run_module|run_path|sys\.modules)\b")
_DOTTED_TEXT = re.compile(r"""["']([^\W\d]\w*(?:\.[^\W\d]\w*)+)["']""")


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
    walk = _Walk(script, packages, left_out)
    return {
        f"{module}:{name}": _digest(walk.text(module, name))
        for module, names in sorted(walk.reached.items())
        for name in sorted(names)
    }


def reached(script: Path, packages: Mapping[str, Path]) -> dict[str, list[str]]:
    """Module -> its definitions that `code_digest` covers, sorted; ["*"] where the whole module counts."""
    walk = _Walk(script, packages)
    return {
        module: ["*"] if module in walk.whole else sorted(names)
        for module, names in sorted(walk.reached.items())
        if names
    }


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class _Import:
    """One name of an import statement."""

    text: str
    line: int
    module: str
    level: int
    """Leading dots."""
    name: str | None
    """What is taken from the module, "*" included; None if the module itself is."""
    bound: str
    """The name that is set."""


@dataclass(frozen=True, eq=False)
class _Statement:
    """A top-level statement, without what does not count."""

    node: ast.stmt

    @cached_property
    def tree(self) -> str:
        """All that counts."""
        return _written(self.node)

    @cached_property
    def source(self) -> str:
        return ast.unparse(self.node)

    @cached_property
    def scope(self) -> symtable.SymbolTable:
        return symtable.symtable(self.source, STATEMENTS, "exec")

    @cached_property
    def imports(self) -> list[_Import]:
        """Those in it."""
        return list(_imports(self.node)) if "import " in self.source else []

    @cached_property
    def uses(self) -> set[str]:
        """The module's names, and Python's, that it uses."""
        return set(_uses(self.scope))

    @cached_property
    def calls(self) -> set[str]:
        """Names by which it calls something while the module is imported."""
        return set(_calls(self.node))

    @property
    def sets(self) -> list[str]:
        """The module's names that it sets, but for imports."""
        if isinstance(self.node, _DEFINITIONS):
            return [self.node.name]
        return [symbol.get_name() for symbol in self.scope.get_symbols() if symbol.is_assigned()]

    @property
    def only_sets(self) -> bool:
        """Whether it is there for the names it sets; the value of `_` was computed for something else."""
        if not isinstance(self.node, ast.Assign):
            return isinstance(self.node, (*_DEFINITIONS, ast.Import, ast.ImportFrom))
        parts = [part for target in self.node.targets for part in ast.walk(target)]
        elsewhere = any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in parts)
        return not elsewhere and {part.id for part in parts if isinstance(part, ast.Name)} != {"_"}

    @property
    def is_main_guard(self) -> bool:
        is_if = isinstance(self.node, ast.If) and not self.node.orelse
        return is_if and ast.unparse(self.node.test) == "__name__ == '__main__'"

    @property
    def is_context_manager(self) -> bool:
        return isinstance(self.node, _FUNCTIONS) and "contextmanager" in _decorators(self.node)


@dataclass(frozen=True, eq=False)
class _Module:
    definitions: dict[str, list[_Statement]]
    """Name -> what sets it and does nothing else; `STATEMENTS` -> the other statements."""
    imports: dict[str, list[_Import]]
    """Name -> the imports that set it."""
    names: set[str]
    """All that it visibly defines."""


@cache
def _read(path: Path) -> _Module:
    """Parsed once a process: most scripts share most modules."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}.") from None
    module = _Module({}, {}, set())
    for statement in map(_Statement, _stripped(tree.body, keep_docstrings=b"__doc__" in source)):
        if not isinstance(statement.node, _DEFINITIONS):
            for imported in statement.imports:
                module.imports.setdefault(imported.bound, []).append(imported)
        module.names.update(statement.sets)
        names = statement.sets if statement.only_sets else [STATEMENTS]
        for name in ["__name__"] if statement.is_main_guard else names:
            module.definitions.setdefault(name, []).append(statement)
    module.names.update(module.imports)
    return module


def _stripped(body: Iterable[ast.AST], *, keep_docstrings: bool, in_class: bool = False) -> Iterator[ast.AST]:
    """The statements without what does not count; those within them are changed in place."""
    for node in body:
        inside = isinstance(node, ast.ClassDef) or (in_class and not isinstance(node, _FUNCTIONS))
        for block in _BLOCKS:
            if inner := getattr(node, block, None):
                kept = _stripped(inner, keep_docstrings=keep_docstrings, in_class=inside)
                setattr(node, block, list(kept) or [ast.Pass()])
        if isinstance(node, _FUNCTIONS) and {*_decorators(node)} <= _BLIND_DECORATORS:
            node.returns = None
            for part in ast.walk(node.args):
                if isinstance(part, ast.arg):
                    part.annotation = None
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from node.orelse
        elif isinstance(node, ast.AnnAssign) and not in_class:
            if node.value is not None:
                yield ast.copy_location(ast.Assign([node.target], node.value), node)
        elif keep_docstrings or not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Their names without what is before the last dot."""
    return [ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list]


def _written(node: object) -> str:
    if isinstance(node, list):
        return f"[{','.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.JoinedStr):
        # Python 3.12 has empty texts in f-strings.
        node = ast.JoinedStr([part for part in node.values if getattr(part, "value", None) != ""])
    # Context follows from the place in the tree; kind tells u"" from "".
    fields = {name: value for name, value in ast.iter_fields(node) if name not in ("ctx", "kind")}
    filled = (f"{name}={_written(value)}" for name, value in fields.items() if value not in (None, []))
    return f"{type(node).__name__}({','.join(filled)})"


def _imports(statement: ast.stmt) -> Iterator[_Import]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                yield _Import(ast.unparse(ast.Import([alias])), node.lineno, alias.name, 0, None, bound)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                text = ast.unparse(ast.ImportFrom(node.module, [alias], node.level))
                bound = alias.asname or alias.name
                yield _Import(text, node.lineno, node.module or "", node.level, alias.name, bound)


def _uses(scope: symtable.SymbolTable) -> Iterator[str]:
    for symbol in scope.get_symbols():
        # In a class a name is the module's until the class sets it.
        if symbol.is_global() or (scope.get_type() == "class" and symbol.is_referenced()):
            yield symbol.get_name()
    for inner in scope.get_children():
        yield from _uses(inner)


def _calls(node: ast.AST) -> Iterator[str]:
    called: list[ast.AST] = [node.func] if isinstance(node, ast.Call) else []
    inside = ast.iter_child_nodes(node)
    if isinstance(node, _FUNCTIONS):
        called = node.decorator_list
        inside = [*called, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, ast.ClassDef):
        called = [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
        inside = [*called, *node.body]
    for function in called:
        while isinstance(function, (ast.Attribute, ast.Subscript, ast.Call)):
            function = function.func if isinstance(function, ast.Call) else function.value
        if isinstance(function, ast.Name):
            yield function.id
    for part in inside:
        yield from _calls(part)


class _Walk:
    """What a script reaches: its definitions, what these use, and so on."""

    def __init__(self, script: Path, packages: Mapping[str, Path], left_out: Collection[str] = ()) -> None:
        self._packages, self._folder = packages, script.parent
        self._left_out = frozenset(left_out) - {script.stem}
        self._paths: dict[str, Path | None] = {script.stem: script}
        self._pending: list[tuple[str, str]] = []
        self.reached: dict[str, set[str]] = {}
        """Imported module -> its definitions that count."""
        self.whole: set[str] = set()
        self._run(script.stem)
        for name in self._code(script.stem).definitions:
            self._want(script.stem, name)
        while self._pending:
            self._follow(*self._pending.pop())

    def text(self, module: str, name: str) -> str:
        """A definition, and the imports that it uses."""
        code = self._code(module)
        statements = code.definitions.get(name, [])
        used = {name, "*", *chain(*(statement.uses for statement in statements))}
        imports = {imported.text for use in used for imported in code.imports.get(use, [])}
        return "\n".join([*(statement.tree for statement in statements), *sorted(imports)])

    def _path(self, module: str) -> Path | None:
        """The file of a module of our own that counts; None if there is none."""
        if module in self._left_out:
            return None
        if module not in self._paths:
            top, *inner = module.split(".")
            folder = self._packages.get(top, self._folder / top).joinpath(*inner)
            files = (folder / "__init__.py", folder.parent / f"{folder.name}.py")
            self._paths[module] = next((file for file in files if file.is_file()), None)
        return self._paths[module]

    def _code(self, module: str) -> _Module:
        return _read(self._path(module))

    def _target(self, importer: str, imported: _Import) -> str | None:
        """The module that is imported, or imported from; None if it is not our own."""
        path, parts = self._path(importer), importer.split(".")
        package = parts if path.name == "__init__.py" else parts[:-1]
        above = package[: len(package) + 1 - imported.level] if imported.level else []
        names = [*above, *filter(None, imported.module.split("."))]
        top = names[0] if names else ""
        if not self._left_out.isdisjoint(accumulate([*names, imported.name or ""], "{}.{}".format)):
            return None
        # A package does not see the scripts: its `import cortex` is pycortex, though a script has this name.
        if top not in self._packages and (parts[0] in self._packages or not self._path(top)):
            return None
        for module in accumulate(names, "{}.{}".format):
            if not self._path(module):
                raise ValueError(f"{path}, line {imported.line}: there is no module {module}.")
        return module

    def _run(self, module: str) -> None:
        """The module is imported."""
        if module in self.reached or not self._path(module):
            return
        self.reached[module] = set()
        self._run(module.rpartition(".")[0])
        code = self._code(module)
        for name, statements in code.definitions.items():
            called = {function for statement in statements for function in statement.calls}
            registers = name != "__name__" and any(
                self._may_register(module, function) for function in called
            )
            if name == STATEMENTS or registers:
                self._want(module, name)
        for imported in chain(*code.imports.values()):
            self._run_import(module, imported)

    def _run_import(self, importer: str, imported: _Import) -> None:
        target = self._target(importer, imported)
        if target is None:
            return
        self._run(target)
        if imported.name == "*":
            self._want_all(target)
        elif imported.name:
            self._run(f"{target}.{imported.name}")

    def _may_register(self, module: str, function: str) -> bool:
        """Whether a function that a module calls is our own and may change more than what it returns."""
        code = self._code(module)
        found: list[_Statement | None] = [*code.definitions.get(function, [])]
        for imported in code.imports.get(function, []):
            target = self._target(module, imported)
            if target is not None:
                found += self._code(target).definitions.get(imported.name, [None])
        return not all(statement and statement.is_context_manager for statement in found)

    def _want(self, module: str, name: str) -> None:
        self._run(module)
        code = self._code(module)
        if f"{module}:{name}" in self._left_out:
            return
        if name not in self.reached[module] and (name in code.definitions or name in code.imports):
            self.reached[module].add(name)
            self._pending.append((module, name))

    def _want_all(self, module: str) -> None:
        self._run(module)
        if module in self.whole or not self._path(module):
            return
        self.whole.add(module)
        code, path = self._code(module), self._path(module)
        for name in code.definitions:
            self._want(module, name)
        for imported in chain(*code.imports.values()):
            self._use(module, imported)
        if path.name == "__init__.py":
            inner = [*path.parent.glob("*.py"), *(file.parent for file in path.parent.glob("*/__init__.py"))]
            for file in sorted({*inner} - {path}):
                self._want_all(f"{module}.{file.stem}")

    def _use(self, importer: str, imported: _Import) -> None:
        """An imported name is used."""
        target = self._target(importer, imported)
        if target is None or imported.name == "*":
            return
        if imported.name is None:
            # `import brainlm.scores.latents` sets the name brainlm, by which every module can be used.
            self._want_all(target if " as " in imported.text else imported.bound)
            return
        inner = f"{target}.{imported.name}"
        if self._path(inner):
            self._want_all(inner)
        elif imported.name not in self._code(target).names:
            self._want_all(target)
        self._want(target, imported.name)

    def _follow(self, module: str, name: str) -> None:
        """Want what a definition uses."""
        code = self._code(module)
        for imported in code.imports.get(name, []):
            self._use(module, imported)
        for statement in code.definitions.get(name, []):
            for imported in statement.imports:
                self._use(module, imported)
            for use in statement.uses:
                if use in code.definitions:
                    self._want(module, use)
                for imported in code.imports.get(use, []):
                    self._use(module, imported)
            if statement.uses & _SEES_ITS_MODULE:
                self._want_all(module)
            for text in _DOTTED_TEXT.findall(statement.source):
                if text.partition(".")[0] in self._packages and self._path(text):
                    self._want_all(text)
            if _SEES_ALL_MODULES.search(statement.source):
                for package in (module, *self._packages):
                    self._want_all(package)
