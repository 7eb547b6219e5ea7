"""Write what is said of every setting where users look for it: the table of config/README.md and config/schema.json.

Both follow from `pipeline.settings`; `make reference` writes them again after a change there.
"""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from pipeline.datasets import SOURCES
from pipeline.paths import REPOSITORY
from pipeline.schema import PARTIAL, adapter, default_of
from pipeline.settings import Config

README = REPOSITORY / "config" / "README.md"
SCHEMA = REPOSITORY / "config" / "schema.json"
MARKS = ("<!-- Written by `make reference` from here -->\n", "<!-- to here -->\n")
HEADER = "| key | default | meaning |\n|---|---|---|\n"


@cache
def meanings(section: type) -> Mapping[str, str]:
    """Key -> the text under its field, in one line of Markdown, of a section's keys that have one."""
    found = {}
    for kind in filter(is_dataclass, reversed(section.__mro__)):
        body = ast.parse(dedent(inspect.getsource(kind))).body[0].body
        for declared, text in pairwise(body):
            if isinstance(declared, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[declared.target.id] = " ".join(text.value.value.split())
    if "{sources}" in found.get("source", ""):
        found["source"] = found["source"].format(sources="; ".join(map(_source, SOURCES)))
    return found


def entries(section: type = Config, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted key, default or MISSING, and meaning of all keys of a section and those below it, as they are declared.

    Where names are one's own the key ends with <name>.
    """
    hints = get_type_hints(section)
    for key in fields(section):
        hint, name = hints[key.name], f"{path}{key.name}"
        if is_dataclass(hint):
            yield from entries(hint, f"{name}.")
        elif get_origin(hint) is Mapping:
            kind = "role" if get_origin(get_args(hint)[0]) is Literal else "name"
            yield f"{name}.<{kind}>", MISSING, meanings(section)[key.name]
        else:
            yield name, default_of(key), meanings(section)[key.name]


def table() -> str:
    """The table of keys, in Markdown."""
    return HEADER + "".join(
        f"| `{key}` |{_in_table(default)}| {meaning} |\n" for key, default, meaning in entries()
    )


def readme() -> str:
    """config/README.md with today's table."""
    before, _, rest = README.read_text(encoding="utf-8").partition(MARKS[0])
    return before + MARKS[0] + table() + MARKS[1] + rest.partition(MARKS[1])[2]


def json_schema() -> dict[str, Any]:
    """The JSON schema of a config, for editors, which show what a key means and what it is if it is not given."""
    schema = adapter(Config).json_schema()
    parts = schema["$defs"] | {Config.__name__: schema}
    for section in sections():
        for name in {section.__name__, f"{PARTIAL}{section.__name__}"} & parts.keys():
            for key in fields(section):
                shown = parts[name]["properties"][key.name]
                # It would only repeat the key.
                shown.pop("title", None)
                if meaning := meanings(section).get(key.name):
                    shown["description"] = meaning
                if name == section.__name__ and "$ref" not in shown and default_of(key) is not MISSING:
                    shown["default"] = default_of(key)
    return schema


def sections(section: type = Config) -> Iterator[type]:
    """A section and all below it."""
    yield section
    for hint in get_type_hints(section).values():
        for kind in filter(is_dataclass, [hint, *get_args(hint)]):
            yield from sections(kind)


def _source(name: str) -> str:
    about = import_module(f"pipeline.datasets.{name}").__doc__.splitlines()[0].rstrip(".")
    return f"`{name}`: {about[:1].lower()}{about[1:]}"


def _in_table(default: Any) -> str:
    if default is MISSING:
        return " "
    # YAML ends a value that is no list with a line of its own.
    return f" `{yaml.safe_dump(default, default_flow_style=True).splitlines()[0]}` "


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
    SCHEMA.write_text(json.dumps(json_schema(), ensure_ascii=False) + "\n", encoding="utf-8")
