"""Files of a DataLad (git-annex) dataset, whose content may still have to be fetched."""

from pathlib import Path

from brainlm.errors import InputError

# A pointer file is one line with a path; no story's transcript or responses are as small.
_POINTER_BYTES = 1024


def check_downloaded(path: Path) -> None:
    """Make sure that `path` is a file whose content is here.

    Raises
    ------
    InputError : if there is no such file, or if it only stands for its content, which was never downloaded: a
        dangling link into the annex, or a tiny text file that names a path in ``annex/objects``.
    """
    if path.is_symlink() and not path.exists():
        raise _not_downloaded(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the dataset's folder and the name.")
    if not path.is_file():
        raise InputError(f"{path} is a folder, but a file is needed.")
    if path.stat().st_size < _POINTER_BYTES and b"annex/objects" in path.read_bytes():
        raise _not_downloaded(path)


def _not_downloaded(path: Path) -> InputError:
    return InputError(
        f"{path} has not been downloaded: only its place in the dataset is here. Run `datalad get` or "
        "`git annex get` on it."
    )
