"""What a name may be: it becomes files, Snakemake's wildcards, words of a cluster's commands and cells of tables."""

import unicodedata
from collections.abc import Iterable

LONGEST_NAME = 80
"""Bytes in UTF-8: three names together make one name of a file, of which disks take 255 bytes (Slurm's logs)."""
RESULT_FOLDERS = frozenset(
    {
        *("activations", "browser", "comparisons", "cortex", "ds003020", "features", "fetched", "figures"),
        *("logs", "models", "provenance", "responses", "shared", "simulation", "tables", "voxels", "words"),
    }
)
"""What lies beside the folders of subjects and groups in a run's results."""
SUBJECT_RESULTS = frozenset(
    {
        *("ceiling.tsv", "ceiling.zarr", "found_again.tsv", "found_in_seeds.tsv", "normalization"),
        *("ridge.zarr", "sources"),
    }
)
"""What lies beside the folders of experiments in the folder of a subject."""
SIMULATED_RESULTS = frozenset({"planted"})
"""What a simulated dataset keeps beside what it keeps of each subject."""


def name_fault(name: str, *, marks: str = "-_.", any_alphabet: bool = False) -> str | None:
    """What is wrong with a name, as "must ..., not '...'"; None if nothing is.

    Parameters
    ----------
    marks: what it may hold besides letters and digits.
    any_alphabet: letters of all alphabets, for names that no figure has to draw; otherwise a to z.
    """
    *others, last = (f"'{mark}'" for mark in marks)
    letters = "letters" if any_alphabet or name.isascii() else "letters from a to z"
    if not name or not all(mark in marks or _is_letter_or_digit(mark, any_alphabet) for mark in name):
        wanted = f"consist of {letters}, digits, {', '.join(others)} and {last}"
    elif name[0] in marks:
        wanted = "begin with a letter or a digit"
    elif name.endswith("."):
        wanted = "not end with a dot"
    elif not unicodedata.is_normalized("NFC", name):
        wanted = "have its accents composed with their letters (Unicode NFC)"
    elif len(name.encode()) > LONGEST_NAME:
        wanted = f"be no longer than {LONGEST_NAME} bytes"
    else:
        return None
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    return f"must {wanted}, not {shown!r}"


def look_alikes(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two different names that some disks take for the same, if there are any."""
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(folded(name), name) != name:
            return seen[folded(name)], name
    return None


def folded(name: str) -> str:
    """The same for names that differ in capitals, or in how accents are written, alone."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_label(text: str) -> bool:
    """Whether a text can stand in a table's cell: something, in one line, without tabs."""
    return bool(text.strip()) and len(text.splitlines()) == 1 and "\t" not in text


def _is_letter_or_digit(character: str, any_alphabet: bool) -> bool:
    if character.isascii():
        return character.isalnum()
    # Some alphabets write vowels as marks (M) of the letters before them.
    category = unicodedata.category(character)
    return any_alphabet and (category[0] in "LM" or category == "Nd")
