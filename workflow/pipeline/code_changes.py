"""What code made a result: definitions by their digests, kept so that a change can be named."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.digest import code_digest, definition_digests

CODE_PREFIX = "code "
BOOKKEEPING = (
    "job",
    "brainlm:__version__",
    "brainlm.errors",
    "brainlm.data.fetched",
    "brainlm.files",
    "pipeline.provenance",
)
"""The version's number, and how a job logs, says what is wrong, writes a file as a whole and records where it comes
from, change no result."""
FOLDER = Path(".snakemake", "brainlm-code")


def digest_of(script: Path, packages: Mapping[str, Path]) -> str:
    """The digest of the code that makes a rule script's results, see `code_digest`."""
    return code_digest(script, packages, BOOKKEEPING)


def save_definitions(scripts: Path, packages: Mapping[str, Path]) -> None:
    """Keep, for each rule script, the digests of all definitions that it reaches, in a file named by its digest."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for script in scripts.glob("*.py"):
        file = FOLDER / f"{digest_of(script, packages)}.json"
        if not file.exists():
            definitions = definition_digests(script, packages, BOOKKEEPING)
            file.write_text(json.dumps(definitions), encoding="utf-8")


def changed_definitions(before: str, now: str, scripts: Path, packages: Mapping[str, Path]) -> list[str]:
    """Names of the definitions that differ between two of a script's digests, e.g. "brainlm.scores.latents:pearson".

    Parameters
    ----------
    before: a digest of an earlier run.
    now: a digest of the code as it is.

    Returns
    -------
    Empty if the earlier run's definitions are not on record.
    """
    file = FOLDER / f"{before}.json"
    script = next((s for s in scripts.glob("*.py") if digest_of(s, packages) == now), None)
    if script is None or not file.is_file():
        return []
    old, new = json.loads(file.read_text(encoding="utf-8")), definition_digests(script, packages, BOOKKEEPING)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
