"""Check what a config gives against frozen dataclasses, by pydantic, and fill in their defaults.

A dataclass is a section: its fields are the keys. Tuples stand for lists, `Literal` for a choice of words, mappings
for names of one's own; `NotRequired` marks a key without default that need not be given; rules stand in `Annotated`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache, partial, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError, WrapValidator
from typing_extensions import TypedDict

from pipeline.errors import ConfigError, hint
from pipeline.experiments import merge


@dataclass(frozen=True)
class Must:
    """A rule that values must keep, and how a sentence says it after "must"."""

    holds: Callable[[Any], object]
    words: str

    def require(self, value: Any) -> Any:
        """The value, if it keeps the rule."""
        if not self.holds(value):
            raise ValueError(f"must {self.words}, not {value!r}.")
        return value


UNIQUE = Must(lambda values: len(set(values)) == len(values), "have unique values")
PARTIAL = "Partial"
Section = TypeVar("Section")
Partial = Annotated[Section, PARTIAL]
"""Some keys of a section and of those below it, without defaults."""

KINDS = {
    **{str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"},
    **dict.fromkeys((list, tuple), "array"),
}
"""What JSON calls values of a type; all others are objects."""
LIMITS = {
    "greater_than": "is less than or equal to the minimum of {gt:g}",
    "greater_than_equal": "is less than the minimum of {ge:g}",
    "less_than": "is greater than or equal to the maximum of {lt:g}",
    "too_short": "is too short",
    "empty": "should be non-empty",
}
QUOTES = (
    ": put it in quotes, as YAML reads names and words like 01, no, null and 2024-01-31 as numbers, truth values, "
    "nothing and dates"
)


def checked(section: type, given: Any) -> dict[str, Any]:
    """What a config gives, with numbers where it has text in their place, and beside it the defaults.

    Raises
    ------
    ConfigError: in one sentence, what is wrong.
    """
    try:
        return _with_defaults(section, adapter(section).validate_python(given))
    except ValidationError as error:
        # What is wrong with a section comes before what is wrong inside one.
        where, words = min(map(_said, error.errors()), key=lambda said: len(said[0]))
    raise ConfigError(f"Config: {'.'.join(map(str, where)) or 'the config'} {words}")


@cache
def adapter(section: type) -> TypeAdapter:
    """What reads and checks a section."""
    return TypeAdapter(_given(section))


def default_of(key: Field) -> Any:
    """What a key is if it is not given, as YAML has it; MISSING if it has no default."""
    return _plain(key.default if key.default_factory is MISSING else key.default_factory())


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {key.name: _plain(getattr(value, key.name)) for key in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def _with_defaults(section: type, given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {key.name: default_of(key) for key in fields(section)}
    values = merge({name: value for name, value in defaults.items() if value is not MISSING}, given)
    return {
        name: _with_defaults(kind, values[name]) if is_dataclass(kind) else values[name]
        for name, kind in get_type_hints(section).items()
        if name in values
    }


def _given(declared: Any, *, some: bool = False) -> Any:
    """The type hint of a key as pydantic takes it, for what a config gives: all keys without default, or `some`."""
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is NotRequired:
        return NotRequired[_given(*arguments, some=some)]
    if origin is Literal:
        return declared
    kind, *rules = arguments if origin is Annotated else [declared]
    some = some or PARTIAL in rules
    rules = [AfterValidator(rule.require) if isinstance(rule, Must) else rule for rule in rules]
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else [kind]
    names = [KINDS.get(get_origin(kind) or kind, "object") for kind in kinds]
    bare = reduce(or_, (_without_rules(kind, some) for kind in kinds))
    return Annotated[bare, *rules, WrapValidator(partial(_read, names))]


def _without_rules(kind: Any, some: bool) -> Any:
    if is_dataclass(kind):
        keys, hints = {}, get_type_hints(kind, include_extras=True)
        for key in fields(kind):
            given = _given(hints[key.name], some=some)
            keys[key.name] = NotRequired[given] if some or default_of(key) is not MISSING else given
        section = TypedDict(f"{PARTIAL * some}{kind.__name__}", keys)
        section.__doc__, section.__pydantic_config__ = kind.__doc__, {"extra": "forbid"}
        return Annotated[section, BeforeValidator(partial(_require_known, list(keys)))]
    inner = [_given(argument, some=some) for argument in get_args(kind) if argument is not ...]
    return {tuple: list, Mapping: dict}[get_origin(kind)][*inner] if inner else kind


def _read(kinds: Sequence[str], value: Any, check: Callable[[Any], Any]) -> Any:
    """A value as YAML would read it, if it is of one of these kinds and keeps the rules that `check` knows."""
    if isinstance(value, str) and "string" not in kinds:
        value = _parsed(value)
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        value = int(value)
    kind = "object" if isinstance(value, Mapping) else KINDS.get(type(value))
    if kind not in kinds and not (kind == "integer" and "number" in kinds):
        quotes = QUOTES if "string" in kinds and kind not in ("array", "object") else ""
        raise ValueError(f"must be of type {' or '.join(kinds)}, not {value!r}{quotes}.")
    read = check(value)
    # pydantic would make 4 to 4.0, which are two values to Snakemake and in names.
    return value if "number" in kinds else read


def _parsed(text: str) -> Any:
    # `snakemake --config 'crosscoder={k: 4}'` gives text, and so does YAML for 1e-3.
    for parse in (int, float, yaml.safe_load):
        with suppress(ValueError, yaml.YAMLError):
            return parse(text)
    return text


def _require_known(known: Sequence[str], given: Mapping[Any, Any]) -> Mapping[Any, Any]:
    # YAML's keys may be numbers or dates.
    if unknown := [str(key) for key in given if key not in known]:
        raise ValueError(_unknown(min(unknown), known))
    return given


def _unknown(key: str, known: Sequence[str]) -> str:
    return f"has the unknown key '{key}'; " + hint(key, known, f"known keys are {', '.join(known)}.")


def _said(error: Mapping[str, Any]) -> tuple[tuple[Any, ...], str]:
    """Where one of pydantic's errors is, as keys, and what a sentence says of it."""
    where, kind, about = error["loc"], error["type"], error.get("ctx", {})
    words = about.get("expected", "").replace("'", "").replace(" or ", ", ").split(", ")
    is_name = where[-1:] == ("[key]",)
    if kind == "missing":
        return where[:-1], f"lacks the key '{where[-1]}'."
    if kind == "literal_error" and is_name:
        return where[:-2], _unknown(str(where[-2]), words)
    if is_name:
        where = (f"a name in {'.'.join(map(str, where[:-2]))}",)
    if kind == "literal_error":
        return where, f"must be one of {', '.join(words)}, not {error['input']!r}."
    if kind == "value_error":
        return where, str(about["error"])
    limit = LIMITS["empty" if error["input"] == [] else kind].format(**about)
    return where, f"is not valid: {error['input']!r} {limit}."
