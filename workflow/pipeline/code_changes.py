"""Which code of ours makes results, and its definitions' digests, kept so that a change can be named."""

import json
from functools import cache
from hashlib import blake2b
from pathlib import Path

from pipeline.digest import code_digest, definition_digests

_WORKFLOW = Path(__file__).parents[1]
SCRIPTS = _WORKFLOW / "scripts"
PACKAGES = {"brainlm": _WORKFLOW.parent / "brainlm", "pipeline": _WORKFLOW / "pipeline"}
"""The packages of our own that rule scripts import."""
BOOKKEEPING = (
    "job",
    "brainlm:__version__",
    "brainlm.crosscoder.sharing",
    "brainlm.data.fetched",
    "brainlm.errors",
    "brainlm.extras",
    *(
        f"brainlm.files:{name}"
        for name in ("check_downloaded", "whole_file", "whole_folder", "write_atomically")
    ),
    "pipeline.provenance",
)
"""The version's number, how a model is shared, how a package hands on its names, and how a job logs, says what is
wrong, writes files and folders as a whole and records where they come from, change no result. How a table's cells are
written and read does."""
CODE_PREFIX = "code "
"""What the param of a rule that holds its code's digest begins with."""
FOLDER = Path(".snakemake", "brainlm-code")


@cache
def code_param(script: str) -> str:
    """A param that changes with the code that makes the results of a script, e.g. "train"; see `code_digest`."""
    return CODE_PREFIX + digest_of(SCRIPTS / f"{script}.py")


def digest_of(script: Path) -> str:
    """The digest without the prefix."""
    return code_digest(script, PACKAGES, BOOKKEEPING)


def templates_param(folder: Path) -> str:
    """A param that changes with the names and contents of the files in a folder, which are not Python's."""
    total = blake2b(digest_size=8)
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        content = file.read_bytes()
        total.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def save_definitions() -> None:
    """Keep, for each rule script, the digests of all definitions that it reaches, in a file named by its digest."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for script in SCRIPTS.glob("*.py"):
        file = FOLDER / f"{digest_of(script)}.json"
        if not file.exists():
            definitions = definition_digests(script, PACKAGES, BOOKKEEPING)
            file.write_text(json.dumps(definitions), encoding="utf-8")


def changed_definitions(before: str, now: str) -> list[str]:
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
    script = next((script for script in SCRIPTS.glob("*.py") if digest_of(script) == now), None)
    if script is None or not file.is_file():
        return []
    old, new = json.loads(file.read_text(encoding="utf-8")), definition_digests(script, PACKAGES, BOOKKEEPING)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
