"""Code digests of generated packages, edit by edit, against reference reachability, and of the rule scripts."""

import ast
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import code_changes
from pipeline.code_changes import BOOKKEEPING, PACKAGES
from pipeline.digest import STATEMENTS, code_digest, definition_digests

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = sorted(
    path
    for path in (REPOSITORY / "workflow" / "scripts").glob("*.py")
    if path.name not in ("job.py", "job_inputs.py", "recovered.py", "results.py")
)

PROJECT = {
    "lab/__init__.py": '''
        """The library."""
        __version__ = "1"
    ''',
    "lab/scores.py": '''
        """Scores of two time courses."""

        import math
        from dataclasses import dataclass
        from typing import TYPE_CHECKING

        from lab.bases import Score
        from lab.helpers import centre as centred
        from lab.marks import checked

        if TYPE_CHECKING:
            from lab.unused import Thing

        BOUND = 0.5
        DIGITS = 3
        LIMIT: float = 2.0


        def pearson(x: list, y: list, digits: int = DIGITS) -> float:
            """Their correlation."""
            # Not the fastest way.
            products: list = [a * b for a, b in zip(centred(x), centred(y))]
            return round(math.fsum(products), digits)


        @checked
        def is_shared(r: float) -> bool:
            return abs(r) < BOUND


        def unrelated(r):
            return r > LIMIT


        @dataclass(frozen=True)
        class Fit(Score):
            """A fit."""

            value: float
            """Between -1 and 1."""

            @property
            def percent(self) -> float:
                """Of 100."""
                factor: int = 100
                return factor * self.value
    ''',
    "lab/helpers.py": """
        from lab.sums import mean

        def centre(x):
            return [a - mean(x) for a in x]

        def scale(x):
            return [a / mean(x) for a in x]
    """,
    "lab/sums.py": """
        def mean(x):
            return sum(x) / len(x)

        def median(x):
            return sorted(x)[len(x) // 2]
    """,
    "lab/bases.py": """
        class Score:
            def describe(self):
                return f"{self.value:.2f}"

            def line(self, width):
                return f"{self.name or 'none'!r:>{width}}\\n" f'{"a"} {{}}'
    """,
    "lab/marks.py": """
        import os

        os.environ.setdefault("LAB_THREADS", "1")

        def checked(function):
            return function
    """,
    "lab/slow.py": """
        def step():
            return 1
    """,
    "lab/unused.py": """
        class Thing:
            pass
    """,
    "scripts/job.py": '''
        """Around every job."""
        from lab.unused import Thing

        def logged(job):
            return open(job.log)

        def things():
            return [Thing()]
    ''',
    "scripts/score.py": '''
        """Score one story."""
        from job import logged
        from lab.scores import Fit, is_shared, pearson

        with logged(snakemake):
            from_file = Fit(pearson([1, 2], [2, 1]))
            if is_shared(from_file.value):
                from lab.slow import step
                step()
    ''',
    "scripts/other.py": "from lab.sums import median\nmedian([1])\n",
    "report/score.rst": "A score.",
}


def write(folder: Path, files: Mapping[str, str]) -> tuple[Path, dict[str, Path]]:
    """The files in a folder, and the arguments for the digest of scripts/score.py."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder / "scripts" / "score.py", {"lab": folder / "lab"}


def edited(name: str, old: str, new: str) -> dict[str, str]:
    """The project with one text in one file replaced."""
    text = textwrap.dedent(PROJECT[name])
    assert text.count(old) == 1
    return PROJECT | {name: text.replace(old, new)}


def changes(folder: Path, before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """The definitions whose digests differ; that of the whole differs if, and only if, there are any."""
    one, other = write(folder / "before", before), write(folder / "after", after)
    a, b = definition_digests(*one), definition_digests(*other)
    names = {name for name in {*a, *b} if a.get(name) != b.get(name)}
    assert (code_digest(*one) != code_digest(*other)) == bool(names)
    return names


def reached(
    script: Path, packages: Mapping[str, Path], left_out: Collection[str] = ()
) -> dict[str, list[str]]:
    """Module -> the definitions that the digest covers, sorted."""
    found: dict[str, list[str]] = {}
    for definition in definition_digests(script, packages, left_out):
        module, _, name = definition.partition(":")
        found.setdefault(module, []).append(name)
    return found


# Edits of code


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lab/scores.py", "# Not the fastest way.", "# Slow.\n"),
        ("lab/scores.py", "Scores of two time courses.", "Scores."),
        ("lab/scores.py", "Their correlation.", "Pearson's r."),
        ("lab/scores.py", '"""A fit."""', ""),
        ("lab/scores.py", "Between -1 and 1.", "At most 1."),
        ("lab/scores.py", '"""Of 100."""', ""),
        (
            "lab/scores.py",
            "(x: list, y: list, digits: int = DIGITS)",
            "(\n    x,\n    y,\n    digits=(DIGITS),\n)",
        ),
        ("lab/scores.py", "def percent(self) -> float", "def percent(self)"),
        ("lab/scores.py", "products: list = [", "products = ["),
        ("lab/scores.py", "factor: int = 100", "factor = 100"),
        ("lab/scores.py", "BOUND = 0.5", "BOUND: float = 0.50"),
        ("lab/scores.py", "import math\n", "import json\nimport math\n"),
        ("lab/scores.py", "return r > LIMIT", "return r >= LIMIT"),
        ("lab/scores.py", "LIMIT: float = 2.0", "LIMIT: float = 3.0"),
        ("lab/scores.py", "BOUND = 0.5\nDIGITS = 3", "DIGITS = 3\nBOUND = 0.5"),
        ("lab/scores.py", "from lab.unused import Thing", "from lab.unused import Other"),
        ("lab/helpers.py", "return [a / mean(x) for a in x]", "return x"),
        ("lab/sums.py", "sorted(x)[len(x) // 2]", "sorted(x)[0]"),
        ("lab/unused.py", "pass", "size = 3"),
        ("lab/__init__.py", '__version__ = "1"', '__version__ = "2"'),
        ("lab/bases.py", 'f"{self.value:.2f}"', "(f'{ self.value :.2f}')"),
        ("lab/marks.py", '"LAB_THREADS"', "u'LAB_' 'THREADS'"),
        ("scripts/job.py", "return [Thing()]", "return []"),
        ("scripts/score.py", '"""Score one story."""', ""),
        ("scripts/score.py", "from job import logged\n", "from job import logged\n\n\n"),
        ("scripts/other.py", "median([1])", "median([2])"),
        ("report/score.rst", "A score.", "Scores."),
    ],
)
def test_an_edit_of_what_does_not_matter_changes_nothing(tmp_path, name, old, new):
    assert changes(tmp_path, PROJECT, edited(name, old, new)) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("lab/scores.py", "a * b", "a + b", "lab.scores:pearson"),
        ("lab/scores.py", "BOUND = 0.5", "BOUND = 0.6", "lab.scores:BOUND"),
        ("lab/scores.py", "DIGITS = 3", "DIGITS = 4", "lab.scores:DIGITS"),
        ("lab/scores.py", "digits: int = DIGITS", "digits: int = 3 + DIGITS", "lab.scores:pearson"),
        ("lab/scores.py", "value: float\n", "value: float = 1.0\n", "lab.scores:Fit"),
        ("lab/scores.py", "value: float\n", "value: int\n", "lab.scores:Fit"),
        ("lab/scores.py", "factor * self.value", "self.value", "lab.scores:Fit"),
        ("lab/scores.py", "frozen=True", "frozen=False", "lab.scores:Fit"),
        ("lab/scores.py", "centre as centred", "scale as centred", "lab.scores:pearson"),
        ("lab/scores.py", "import math\n", "import cmath as math\n", "lab.scores:pearson"),
        (
            "lab/scores.py",
            "from dataclasses import dataclass",
            "from attrs import dataclass",
            "lab.scores:Fit",
        ),
        ("lab/helpers.py", "[a - mean(x) for a in x]", "[a + mean(x) for a in x]", "lab.helpers:centre"),
        ("lab/sums.py", "sum(x) / len(x)", "sum(x)", "lab.sums:mean"),
        ("lab/bases.py", ".2f", ".3f", "lab.bases:Score"),
        ("lab/marks.py", "return function", "return lambda *a: function(*a)", "lab.marks:checked"),
        ("lab/marks.py", '"1"', '"2"', f"lab.marks:{STATEMENTS}"),
        ("lab/slow.py", "return 1", "return 2", "lab.slow:step"),
        ("scripts/job.py", "job.log", "job.log[0]", "job:logged"),
        ("scripts/score.py", "[2, 1]", "[2, 2]", f"score:{STATEMENTS}"),
    ],
)
def test_an_edit_of_what_a_script_uses_changes_the_digest(tmp_path, name, old, new, changed):
    assert changed in changes(tmp_path, PROJECT, edited(name, old, new))


def test_a_decorator_that_is_taken_away_changes_its_function(tmp_path):
    assert "lab.scores:is_shared" in changes(tmp_path, PROJECT, edited("lab/scores.py", "@checked\n", ""))


def test_a_definition_that_moves_within_its_module_changes_nothing(tmp_path):
    functions = ["def f():\n    return g()\n", "def g():\n    return 1\n", "X = g()\n"]
    script = {"scripts/score.py": "from lab.a import f\nf()\n", "lab/__init__.py": ""}
    before, after = (script | {"lab/a.py": "".join(parts)} for parts in (functions[:2], functions[1::-1]))
    assert changes(tmp_path, before, after) == set()


def test_the_digest_does_not_depend_on_where_the_code_lies(tmp_path):
    assert changes(tmp_path, PROJECT, PROJECT) == set()


def test_a_digest_is_the_same_under_every_version_of_python(tmp_path):
    # Computed once, with Python 3.11, 3.12 and 3.13: another result would re-run all that was ever computed.
    assert code_digest(*write(tmp_path, PROJECT)) == "cfa15560355f521d"


def test_the_definitions_that_a_script_reaches_are_listed(tmp_path):
    assert reached(*write(tmp_path, PROJECT)) == {
        "job": ["logged"],
        "lab.bases": ["Score"],
        "lab.helpers": ["centre"],
        "lab.marks": [STATEMENTS, "checked"],
        "lab.scores": ["BOUND", "DIGITS", "Fit", "is_shared", "pearson"],
        "lab.slow": ["step"],
        "lab.sums": ["mean"],
        "score": [STATEMENTS],
    }


@pytest.mark.parametrize(
    "import_",
    [
        "from lab.log import warn\nwarn()",
        "from lab import log\nlog.warn()",
        "import lab.log as log\nlog.warn()",
        "def f():\n    from lab.log import warn\n    warn()\nf()",
        "from lab.log import *\nwarn()",
        "from around import warn\nwarn()",
        "from lab import VERSION\nprint(VERSION)",
        "@decorator\ndef f():\n    pass\nfrom lab.log import warn as decorator",
    ],
)
def test_what_is_left_out_changes_no_digest(tmp_path, import_):
    """A module of the package, and one beside the scripts that uses it, and what they alone reach."""
    script = f"from lab.a import f as g\n{import_}\ng()"
    digests = set()
    for number, text in enumerate(["from lab.b import h\ndef warn():\n    h()", "def warn():\n    return 7"]):
        files = library(script, a="def f():\n    return 1", b=f"def h():\n    return {number}", log=text)
        files["lab/__init__.py"] = f"VERSION = {number}"
        files["scripts/around.py"] = f"from lab.log import warn\nX = {number}"
        arguments = write(tmp_path / str(number), files)
        digests.add(code_digest(*arguments, ["lab.log", "lab:VERSION", "around"]))
        assert code_digest(*arguments) not in digests
    assert len(digests) == 1
    changed = files | {"lab/a.py": "def f():\n    return 2"}
    assert (
        code_digest(*write(tmp_path / "changed", changed), ["lab.log", "lab:VERSION", "around"])
        not in digests
    )


# Ways to reach code


def library(script: str, **modules: str) -> dict[str, str]:
    """Files of a package `lab` with these modules, and of a script."""
    texts = {"__init__": ""} | modules
    return {"scripts/score.py": script} | {f"lab/{name}.py": text for name, text in texts.items()}


FG = "def f():\n    return 1\ndef g():\n    return 1\n"


@pytest.mark.parametrize(
    "files",
    [
        library("import lab.a as a\na.f()", a=FG),
        library("import lab.a\nlab.a.f()", a=FG),
        library("from lab import a\na.f()", a=FG),
        library("from lab.a import *\nf()", a=FG),
        library("def job():\n    import lab.a as a\n    a.f()\njob()", a=FG),
        library("import lab\nlab.a.f()", __init__="from . import a", a=FG),
        library("from lab import f\nf()", __init__="from .a import f", a=FG),
        library("from lab.b import f\nf()", b="from .a import f", a=FG),
        library("from lab.b import *\nf()", b="from lab.a import *", a=FG),
        library("from lab.b import f\nf()", b="from lab.a import *", a=FG),
        library("from lab.b import h\nh()", b="from lab import a\ndef h():\n    return a.f()", a=FG),
        library(
            "try:\n    from lab.a import f\nexcept ImportError:\n    from lab.b import f\nf()", a=FG, b=FG
        ),
        library(
            "try:\n    from lab.b import f\nexcept ImportError:\n    from lab.a import f\nf()", a=FG, b=FG
        ),
        library(
            "from lab.b import h\nh()",
            b="try:\n    from lab.a import f as h\nexcept OSError:\n    h = 1",
            a=FG,
        ),
        library(
            "from lab.b import h\nh()", b="import sys\nfrom lab.a import f\nif sys.flags:\n    h = f", a=FG
        ),
        library("from lab.a import TABLE\nTABLE['f']()", a=FG + "TABLE = {'f': f}"),
        library("from lab.a import find\nfind('f')()", a=FG + "def find(name):\n    return globals()[name]"),
        library("import importlib\nimportlib.import_module('lab.a').f()", a=FG),
        library("import importlib\nname = 'a'\nimportlib.import_module(f'lab.{name}').f()", a=FG),
        library("import sys\nimport lab.a\nsys.modules['lab.' + 'a'].f()", a=FG),
        library("import subprocess\nsubprocess.run(['python', '-m', 'lab.a'])", a=FG),
        library("from lab.b import h\nh()", b="from lab.a import f\nclass h:\n    f = f", a=FG),
        library("from lab.b import h\nh()", b="from lab.a import f\ndef h(do=f):\n    do()", a=FG),
        library(
            "from lab.b import h\nh()",
            b="from lab.a import f\ndef h():\n    return [f() for _ in 'ab']",
            a=FG,
        ),
        library("from lab.b import h\nh()", b="from lab.a import f\nh = lambda: f()", a=FG),
        library("import lab.b as b\nb.f()", b="from lab.a import f", a=FG),
        library("from lab.inner.b import f\nf()", a=FG)
        | {
            "lab/inner/__init__.py": "",
            "lab/inner/b.py": "from .c import f",
            "lab/inner/c.py": "from ..a import f",
        },
        library("from lab.a import h\nh('f')", a=FG + "def __getattr__(name):\n    return f"),
        library("from lab.b import h\nh()", b="from lab.a import f\nh, *_ = f, 1", a=FG),
        library("from lab.b import h\nh()", b="from lab.a import f\nk = any((h := f) for _ in 'a')", a=FG),
        library(
            "from lab.b import h\nh()",
            b="from lab.a import f\ndef h():\n    global k\n    k = f\n    k()",
            a=FG,
        ),
    ],
)
def test_a_function_is_reached_in_whatever_way_it_is_named(tmp_path, files):
    after = files | {"lab/a.py": files["lab/a.py"].replace("return 1", "return 2", 1)}
    assert "lab.a:f" in changes(tmp_path, files, after)


@pytest.mark.parametrize("imports", ["import lab.a as a", "from lab import a"])
def test_a_module_that_is_used_as_an_object_counts_whole(tmp_path, imports):
    files = library(f"{imports}\ngetattr(a, 'f')()", a=FG, b=FG)
    assert reached(*write(tmp_path, files)) == {"lab.a": ["f", "g"], "score": [STATEMENTS]}


def test_a_package_that_is_used_as_an_object_counts_with_all_its_modules(tmp_path):
    files = library("import lab.a\ngetattr(lab, 'b').f()", a=FG, b=FG) | {
        "lab/inner/__init__.py": "",
        "lab/inner/c.py": FG,
    }
    assert [*reached(*write(tmp_path, files))] == ["lab.a", "lab.b", "lab.inner.c", "score"]


@pytest.mark.parametrize(
    "used",
    [
        "def h():\n    return [f for f in 'ab'], f()",
        "class h:\n    f = f",
        "def h():\n    class Inner:\n        value = f()\n        f = 0\n    return Inner",
    ],
)
def test_a_definition_is_reached_though_a_variable_has_its_name(tmp_path, used):
    files = library("from lab.a import h\nh()", a=FG + used)
    after = files | {"lab/a.py": files["lab/a.py"].replace("return 1", "return 2", 1)}
    assert changes(tmp_path, files, after) == {"lab.a:f"}


def test_an_import_without_use_reaches_only_the_statements_of_its_module(tmp_path):
    script = "import lab.a\nfrom lab.b import f\nfrom lab import c"
    files = library(script, __init__="print(0)", a=f"{FG}print(1)", b=f"{FG}print(g())", c=f"{FG}print(1)")
    assert reached(*write(tmp_path, files)) == {
        "lab": [STATEMENTS],
        "lab.a": [STATEMENTS],
        "lab.b": [STATEMENTS, "g"],
        "lab.c": [STATEMENTS],
    }


@pytest.mark.parametrize(
    "registers",
    [
        "@register\ndef f():\n    return 1",
        "@REGISTRY.setdefault('f')\ndef f():\n    return 1",
        "class f(Base):\n    size = 1",
        "class f(metaclass=Base):\n    size = 1",
        "f = register(1)",
        "def f(size=register(1)):\n    return size",
        "class f:\n    size = register(1)",
        "REGISTRY['f'] = 1",
        "REGISTRY.size = 1",
        "_ = print(1)",
        "f = numpy.seterr(divide='1')",
        "@numpy.vectorize\ndef f():\n    return 1",
        "for size in [1]:\n    print(size)",
        "if REGISTRY:\n    f = 1",
        "if __name__ == '__main__':\n    pass\nelse:\n    REGISTRY['f'] = 1",
        "if __name__ == '__main__':\n    print(1)",
    ],
)
def test_what_importing_a_module_may_register_counts_without_being_named(tmp_path, registers):
    bases = "REGISTRY = {}\nclass Base:\n    pass\ndef register(f):\n    return f\n"
    imports = "from lab.bases import REGISTRY, Base, register\n"
    files = library(
        "import lab.a\nfrom lab.bases import REGISTRY\nREGISTRY['f']()", bases=bases, a=imports + registers
    )
    after = files | {"lab/a.py": imports + registers.replace("1", "2")}
    assert {name.partition(":")[0] for name in changes(tmp_path, files, after)} == {"lab.a"}


@pytest.mark.parametrize(
    "harmless",
    [
        "f = 1",
        "@functools.cache\ndef f():\n    return 1",
        "def f():\n    return style(1)",
        "class f:\n    def style(self):\n        return style(1)",
        "@dataclass(frozen=True)\nclass f:\n    sizes: list = field(default_factory=list)\n    n: int = 1",
        "__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={'a': ['f1']})",
    ],
)
def test_what_cannot_register_anything_counts_only_if_it_is_named(tmp_path, harmless):
    styles = "def style(f):\n    return f\n"
    imports = "import functools, lazy_loader\nfrom dataclasses import dataclass, field\n"
    imports += "from lab.styles import style\n"
    files = library("from lab.a import other\nother", styles=styles, a=f"{imports}other = 0\n{harmless}")
    after = files | {"lab/a.py": f"{imports}other = 0\n{harmless.replace('1', '2')}"}
    assert changes(tmp_path, files, after) == set()


def test_a_module_that_runs_itself_as_a_program_reaches_its_main_block(tmp_path):
    module = "def start():\n    return ['-m', __name__]\ndef work():\n    return 1\n"
    module += "if __name__ == '__main__':\n    work()\n"
    files = library("from lab.a import start\nstart()", a=module)
    after = files | {"lab/a.py": module.replace("return 1", "return 2")}
    assert changes(tmp_path, files, after) == {"lab.a:work"}


# Lazy faces of packages

FACE = """
    import lazy_loader
    LIMIT = 1
    print(LIMIT)
    __getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"a": ["f"], "b": ["h"]})
"""


def package_with_face(script: str) -> dict[str, str]:
    inner = {
        "__init__": FACE,
        "a": "from lab.sums import one\ndef f():\n    return one()\n",
        "b": "def h():\n    return 2\n",
    }
    texts = {f"lab/inner/{name}.py": text for name, text in inner.items()}
    return library(script, sums="def one():\n    return 1\n") | texts


@pytest.mark.parametrize(
    "script",
    [
        "from lab.inner import f\nf()",
        "from lab import inner\ninner.f()",
        "import lab.inner\nlab.inner.f()",
        "from lab.around import f\nf()",
    ],
)
@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("lab/inner/a.py", "return one()", "return -one()", "lab.inner.a:f"),
        ("lab/sums.py", "return 1", "return 2", "lab.sums:one"),
        ("lab/inner/__init__.py", '"a": ["f"]', '"c": ["f"]', "lab.inner:__getattr__"),
    ],
)
def test_what_a_face_hands_on_is_reached(tmp_path, script, name, old, new, changed):
    files = package_with_face(script) | {"lab/around.py": "from lab.inner import f\n"}
    assert changed in changes(tmp_path, files, files | {name: files[name].replace(old, new)})


@pytest.mark.parametrize("script", ["from lab.inner import f\nf()", "from lab import inner\ninner.f()"])
@pytest.mark.parametrize(
    ("stub", "counts"), [("from .b import f as f", True), ("# From a.\nfrom .a import f as f", False)]
)
def test_a_faces_stub_counts_with_it(tmp_path, script, stub, counts):
    files = package_with_face(script) | {"lab/inner/__init__.pyi": "from .a import f as f"}
    changed = changes(tmp_path, files, files | {"lab/inner/__init__.pyi": stub})
    assert changed == ({"lab.inner:__getattr__"} if counts else set())


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('"b": ["h"]', '"b": ["h", "k"]', set()),
        ("print(LIMIT)", "print(-LIMIT)", {f"lab.inner:{STATEMENTS}"}),
        ("LIMIT = 1", "LIMIT = 2", {"lab.inner:LIMIT"}),
    ],
)
def test_of_a_face_only_what_runs_counts_for_who_imports_from_its_modules(tmp_path, old, new, changed):
    files = package_with_face("from lab.inner.a import f\nf()")
    after = files | {"lab/inner/__init__.py": FACE.replace(old, new)}
    assert changes(tmp_path, files, after) == changed


def test_imports_for_type_checkers_are_ignored(tmp_path):
    module = (
        "import typing\nif typing.TYPE_CHECKING:\n    from lab.missing import Thing\ndef h(x: 'Thing'): pass"
    )
    files = library("from lab.a import h\nh(1)", a=module)
    assert reached(*write(tmp_path, files)) == {"lab.a": ["h"], "score": [STATEMENTS]}


def test_docstrings_count_in_a_module_that_reads_them(tmp_path):
    files = library("from lab.a import h\nh()", a='"""Help."""\ndef h():\n    print(__doc__)\n')
    after = files | {"lab/a.py": files["lab/a.py"].replace("Help", "More help")}
    assert changes(tmp_path, files, after) == {f"lab.a:{STATEMENTS}"}


def test_annotations_count_below_a_decorator_that_may_read_them(tmp_path):
    module = "import functools\n@functools.singledispatch\ndef h(x): 0\n@h.register\ndef _(x: int): 1\n"
    files = library("from lab.a import h\nh(1)", a=module)
    assert changes(tmp_path, files, files | {"lab/a.py": module.replace("x: int", "x: str")}) == {"lab.a:_"}


def test_a_package_does_not_see_the_scripts(tmp_path):
    files = library("from lab.a import h\nh()", a="import cortex\ndef h():\n    cortex.f()\n")
    after = files | {"scripts/cortex.py": "def f():\n    return 1\n"}
    assert changes(tmp_path, files, after) == set()


def test_cycles_of_imports_and_calls_end(tmp_path):
    a = "from lab.b import *\nfrom lab.c import g\ndef f():\n    g()\n"
    b = "from lab.a import *\n"
    c = "import lab.a as a\nfrom lab.a import f\ndef g():\n    f()\n    a.f()\n"
    files = library("from lab.a import f\nf()", a=a, b=b, c=c)
    assert reached(*write(tmp_path, files)) == {
        "lab.a": ["*", "f", "g"],
        "lab.b": ["*"],
        "lab.c": ["g"],
        "score": [STATEMENTS],
    }


def test_importing_a_module_runs_the_packages_it_is_in(tmp_path):
    files = library("from lab.a import f\nf()", __init__="print(1)", a=FG)
    assert changes(tmp_path, files, files | {"lab/__init__.py": "print(2)"}) == {f"lab:{STATEMENTS}"}


def test_an_import_of_all_names_of_another_package_counts_where_they_may_be_used(tmp_path):
    files = library("from lab.a import h\nh()", a="from numpy import *\ndef h():\n    return pi\n")
    after = files | {"lab/a.py": files["lab/a.py"].replace("numpy", "math")}
    assert changes(tmp_path, files, after) == {"lab.a:h"}


# Random packages against reference reachability

N_MODULES = 3
NAMED_BY = {
    "call": "def n{i}(x=0):\n    return [{used}]\n",
    "default": "def n{i}(x=[{used}]):\n    return x\n",
    "value": "n{i} = [{used}]\n",
    "method": "class n{i}:\n    def m(self):\n        return [{used}]\n",
    "attribute": "class n{i}:\n    m = [{used}]\n",
}
GRAPHS = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from(sorted(NAMED_BY)), min_size=n, max_size=n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.booleans()), max_size=2 * n),
        st.sets(st.integers(0, n - 1), min_size=1, max_size=3),
        st.integers(0, n - 1),
    )
)
Edges = list[tuple[int, int, bool]]


def random_library(
    kinds: list[str], edges: Edges, roots: set[int], edit: int | None = None
) -> dict[str, str]:
    """Definition i, in module i mod 3, names the ends of its edges, some by an alias; `edit` has a new value."""
    modules = [""] * N_MODULES
    for i, kind in enumerate(kinds):
        ends = [(end, renamed) for start, end, renamed in edges if start == i]
        elsewhere = [(end, renamed) for end, renamed in ends if end % N_MODULES != i % N_MODULES]
        names = [f"n{end}" + "_" * (renamed and (end, renamed) in elsewhere) for end, renamed in ends]
        for end, renamed in elsewhere:
            alias = f" as n{end}_" * renamed
            modules[i % N_MODULES] += f"from lab.m{end % N_MODULES} import n{end}{alias}\n"
        modules[i % N_MODULES] += NAMED_BY[kind].format(i=i, used=", ".join([*names, str(int(i == edit))]))
    imports = "".join(f"from lab.m{i % N_MODULES} import n{i}\n" for i in roots)
    script = imports + f"print({', '.join(f'n{i}' for i in roots)})\n"
    return library(script, **{f"m{number}": text for number, text in enumerate(modules)})


def reachable(edges: Edges, roots: set[int]) -> set[int]:
    found = set(roots)
    while more := {end for start, end, _ in edges if start in found} - found:
        found |= more
    return found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(GRAPHS)
def test_an_edit_changes_the_digest_if_and_only_if_the_definition_is_reachable(graph):
    kinds, edges, roots, edit = graph
    with tempfile.TemporaryDirectory() as folder:
        before, after = random_library(kinds, edges, roots), random_library(kinds, edges, roots, edit)
        expected = reachable(edges, roots)
        names = {f"lab.m{i % N_MODULES}:n{i}" for i in expected}
        assert definition_digests(*write(Path(folder, "listed"), before)).keys() == names | {
            f"score:{STATEMENTS}"
        }
        changed = {f"lab.m{edit % N_MODULES}:n{edit}"} if edit in expected else set()
        assert changes(Path(folder), before, after) == changed


# Errors


def test_a_syntax_error_is_one_sentence_with_file_and_line(tmp_path):
    script, packages = write(tmp_path, library("from lab.a import f", a="x = 1\ndef f(:\n"))
    with pytest.raises(ValueError, match=r"lab/a\.py, line 2: invalid syntax\.$"):
        code_digest(script, packages)


def test_so_is_one_in_a_faces_stub(tmp_path):
    files = package_with_face("from lab.inner import f\nf()") | {"lab/inner/__init__.pyi": "\nfrom .a import"}
    script, packages = write(tmp_path, files)
    with pytest.raises(ValueError, match=r"lab/inner/__init__\.pyi, line 2: "):
        code_digest(script, packages)


@pytest.mark.parametrize(
    "wrong", ["from lab.missing import f", "import lab.missing", "def f():\n    import lab.missing as m"]
)
def test_a_module_that_does_not_exist_is_one_sentence_with_file_and_line(tmp_path, wrong):
    script, packages = write(tmp_path, library("from lab.a import f\nf()", a=f"x = 1\n{wrong}\n"))
    line = 2 + wrong.count("\n")
    with pytest.raises(ValueError, match=rf"lab/a\.py, line {line}: there is no module lab\.missing\.$"):
        code_digest(script, packages)


def test_packages_of_other_people_need_not_be_there(tmp_path):
    script, packages = write(tmp_path, library("from lab.a import f\nf()", a="import torch_of_tomorrow as f"))
    assert reached(script, packages)["lab.a"] == ["f"]


# The rule scripts


def test_every_rule_script_has_a_digest_of_its_own():
    start = time.process_time()
    digests = {script.stem: code_digest(script, PACKAGES) for script in SCRIPTS}
    print(f"{len(digests)} scripts: {time.process_time() - start:.2f} s of CPU")
    assert len(set(digests.values())) == len(SCRIPTS)
    assert all(len(digest) == 16 for digest in digests.values())


def test_code_written_anew_without_comments_keeps_every_digest(tmp_path):
    folders = {name: REPOSITORY / name for name in ("brainlm", "workflow/scripts", "workflow/pipeline")}
    for name, folder in folders.items():
        shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in tmp_path.rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text(encoding="utf-8"))), encoding="utf-8")
    for script in SCRIPTS:
        copy = tmp_path / "workflow" / "scripts" / script.name
        expected = definition_digests(script, PACKAGES)
        packages = {name: tmp_path / folder.relative_to(REPOSITORY) for name, folder in PACKAGES.items()}
        assert definition_digests(copy, packages) == expected


@pytest.mark.parametrize(
    ("script", "there", "not_there"),
    [
        (
            "train",
            {"brainlm.crosscoder.objective", "brainlm.crosscoder.training", "job"},
            {"brainlm.report.latents", "brainlm.report.tables"},
        ),
        (
            "figure2",
            {"brainlm.report.latents", "brainlm.scores.latents"},
            {"brainlm.crosscoder.training", "brainlm.crosscoder.model", "brainlm.rows.pairs"},
        ),
        (
            "table1",
            {"brainlm.report.tables", "brainlm.report.write"},
            {"brainlm.rows.pairs", "brainlm.resample"},
        ),
        ("words", {"brainlm.textgrid.tiers"}, {"brainlm.resample", "brainlm.rows.pairs"}),
    ],
)
def test_a_script_reaches_what_it_runs_and_no_more(script, there, not_there):
    found = reached(REPOSITORY / "workflow" / "scripts" / f"{script}.py", PACKAGES).keys()
    assert there <= found
    assert not not_there & found


def test_tables_are_told_apart_within_their_module():
    scripts = REPOSITORY / "workflow" / "scripts"
    names = {
        name: reached(scripts / f"{name}.py", PACKAGES)["brainlm.report.tables"]
        for name in ("table1", "table2")
    }
    assert "table1" in names["table1"]
    assert "table1" not in names["table2"]


def test_digests_need_neither_snakemake_nor_torch():
    program = "import pipeline.code_changes, sys; print(*sys.modules)"
    listed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY / "workflow",
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"snakemake", "torch", "numpy", "brainlm"} & set(listed.stdout.split())


@pytest.mark.parametrize(
    ("script", "counts"),
    [
        (
            "tables",
            {"brainlm.files:write_tsv", "brainlm.files:_rounded", "brainlm.report.write:_format_float"},
        ),
        (
            "figure4",
            {"brainlm.files:read_tsv", "brainlm.files:TEXT_COLUMNS", "brainlm.report.style:publish_figure"},
        ),
        ("provenance", {"pipeline.provenance_table:models_table", "pipeline.provenance_table:versions_note"}),
    ],
)
def test_of_bookkeeping_only_what_changes_no_result_is_left_out(script, counts):
    scripts = REPOSITORY / "workflow" / "scripts"
    found = set(definition_digests(scripts / f"{script}.py", PACKAGES, BOOKKEEPING))
    assert counts <= found
    modules = {name.partition(":")[0] for name in found}
    assert not {"job", "brainlm.errors", "brainlm.data.fetched", "pipeline.provenance"} & modules
    assert not {"brainlm.files:whole_file", "brainlm.files:write_atomically", "brainlm:__version__"} & found


# What is kept of them


def test_what_has_changed_since_a_run_is_named(tmp_path, monkeypatch):
    script, packages = write(tmp_path, PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code_changes, "SCRIPTS", script.parent)
    monkeypatch.setattr(code_changes, "PACKAGES", packages)
    before = code_changes.digest_of(script)
    code_changes.save_definitions()
    assert code_changes.changed_definitions(before, before) == []
    script, packages = write(tmp_path / "edited", edited("lab/sums.py", "sum(x) / len(x)", "sum(x)"))
    monkeypatch.setattr(code_changes, "SCRIPTS", script.parent)
    monkeypatch.setattr(code_changes, "PACKAGES", packages)
    assert code_changes.changed_definitions(before, code_changes.digest_of(script)) == ["lab.sums:mean"]
    assert code_changes.changed_definitions("0" * 16, code_changes.digest_of(script)) == []
