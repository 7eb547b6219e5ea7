"""What is wrong with a config, and what may have been meant."""

from collections.abc import Sequence
from difflib import get_close_matches


class ConfigError(ValueError):
    """What is wrong with the config, in one sentence, or with a dataset's files, in a line for each fault."""


def hint(name: str, known: Sequence[str], otherwise: str) -> str:
    """What a misspelt name may have meant."""
    close = get_close_matches(name, known)
    return f"did you mean {' or '.join(repr(match) for match in close)}?" if close else otherwise
