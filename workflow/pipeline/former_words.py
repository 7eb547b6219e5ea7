"""Words of configs that are now called otherwise: they are still read, and told."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

SECTIONS = {"encoding": "ridge"}
VALUES = {("brain_time", "permuted"): "shuffled"}
"""(last part of a key, value) -> what the value is called now"""


def with_todays_words(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The config in today's words, and a sentence on each former word that it has.

    A former section beside today's stays, to be refused as unknown.
    """
    config, sentences = deepcopy(dict(config)), []
    for former, today in SECTIONS.items():
        if former in config and today not in config:
            config[today] = config.pop(former)
            sentences.append(f"Config: {former} is now called {today}, and read as such.")
    for path, section, key, value in _values(config):
        if isinstance(value, str) and (key, value) in VALUES:
            section[key] = VALUES[key, value]
            sentences.append(f"Config: {path} {value} is now called {section[key]}, and read as such.")
    return config, sentences


def _values(section: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], str, Any]]:
    """Dotted key, the section that it ends in, its last part and its value, of all that a config gives."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _values(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", section, key, value
