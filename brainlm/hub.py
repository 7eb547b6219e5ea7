"""Find a model's files: in a local folder, in the Hugging Face cache or, last, on the hub."""

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub.constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from brainlm.errors import InputError, one_line

FILE_SUFFIXES = (".gguf", ".safetensors")
"""What ends so is a file, whatever the hub may hold."""


def locate(source: Path | str, kind: str) -> Path | str:
    """The path of a model that is here, or a name that may be one of the hub: only the hub can tell.

    Parameters
    ----------
    source: a path, or a hub name, which has one slash at most.
    kind: of model, for sentences, e.g. "language model".

    Raises
    ------
    InputError: a path of nothing that exists.
    """
    name = str(source)
    path = Path(name).expanduser()
    if path.exists():
        return path
    looks_like_path = isinstance(source, Path) or name.startswith((".", "~", "/")) or name.count("/") > 1
    if looks_like_path or path.suffix in FILE_SUFFIXES:
        raise InputError(f"The {kind} {name} does not exist: no such file or folder.")
    return name


def obtain(found: Path | str, revision: str | None, patterns: Sequence[str], kind: str) -> Path:
    """A local model as it is; of a hub model, its folder in the cache, after downloading what fits `patterns`.

    Where the hub cannot be reached, the folder is what the cache has, and may lack files. `found` and `kind` are
    those of `locate`.
    """
    if isinstance(found, Path):
        return found
    try:
        return Path(
            huggingface_hub.snapshot_download(
                found, revision=revision, allow_patterns=list(patterns), ignore_patterns=["*/*"]
            )
        )
    except LocalEntryNotFoundError as error:
        config = huggingface_hub.try_to_load_from_cache(found, "config.json", revision=revision)
        # A file that the hub lists and the cache lacks need not be one that is needed.
        if isinstance(config, str):
            return Path(config).parent
        reason = _why_out_of_reach(found, revision, error, kind)
    except Exception as error:  # of the hub's library, or of the HTTP library that it happens to use
        reason = _why_out_of_reach(found, revision, error, kind)
    raise InputError(reason)


def obtain_files(found: Path | str, folder: Path, files: Sequence[str], kind: str) -> None:
    """Make sure that a model's folder holds `files`; those of a hub model are downloaded into it."""
    absent = [file for file in files if not (folder / file).exists()]
    if not absent:
        return
    if isinstance(found, Path):
        raise InputError(
            f"The model folder {folder} lacks {absent[0]}, which holds weights that are needed: add it."
        )
    try:
        for file in absent:
            # The folder is named by its commit; a branch may have moved on meanwhile.
            huggingface_hub.hf_hub_download(found, file, revision=folder.name)
        return
    except Exception as error:  # as above
        reason = _why_out_of_reach(found, folder.name, error, kind, absent)
    raise InputError(reason)


def _why_out_of_reach(
    name: str, revision: str | None, error: Exception, kind: str, files: Sequence[str] = ()
) -> str:
    """Why a hub model, or some of its files, could not be had, and what to do."""
    # To the library, a file that the hub refuses is one that the cache lacks.
    if isinstance(error.__cause__, HfHubHTTPError):
        error = error.__cause__
    page = f"https://huggingface.co/{name}"
    log_in = "log in (`hf auth login`, or set HF_TOKEN)"
    what = f"{files[0]} of the {kind} {name}" if files else f"The {kind} {name!r}"
    if isinstance(error, GatedRepoError):
        return f"The {kind} {name} is gated: accept its licence on {page} and {log_in}."
    if isinstance(error, RepositoryNotFoundError):
        return f"{what} is no folder here and not on the Hugging Face hub: see {page}; if it is private, {log_in}."
    if isinstance(error, RevisionNotFoundError):
        return f"{what} has no revision {revision!r}: see {page}/commits."
    if isinstance(error, LocalEntryNotFoundError):
        fetched = " ".join(files) or '--exclude "*/*"'
        return (
            f"{what} is neither in the Hugging Face cache ({huggingface_hub.constants.HF_HUB_CACHE}) nor can the "
            f"hub be reached: run `hf download {name} {fetched} --revision {revision or 'main'}` where there is a "
            "network and let HF_HOME name the cache that it fills, or give a local folder."
        )
    return f"{what} could not be downloaded from the Hugging Face hub: {one_line(error)}"
