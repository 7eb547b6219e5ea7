"""Whether an archive of a run holds what its checksums and its records say."""

import gzip
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from brainlm.errors import InputError
from pipeline.provenance import digest, files_below, load_record, record_files

SUMS = "SHA256SUMS"


def check(archive: Path) -> list[str]:
    """A sentence for each file of an archive that differs from its checksum or its record; [] if all is well.

    Raises
    ------
    InputError : if it cannot be read to its end, holds anything but files and folders below it, or is no archive of
        a run.
    """
    with tempfile.TemporaryDirectory() as folder:
        _unpack(archive, Path(folder))
        top = [path for path in Path(folder).iterdir() if (path / SUMS).is_file()]
        if len(top) != 1 or not record_files(top[0] / "results"):
            raise InputError(f"{archive} is no archive of a run: it has no {SUMS} or no records.")
        return _wrong_sums(top[0]) + _wrong_records(top[0] / "results")


def progress_bar(total: int, doing: str) -> tqdm:
    """A bar over bytes, on a terminal."""
    return tqdm(total=total, desc=doing, unit="B", unit_scale=True, leave=False, disable=None)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive below a folder."""
    if not hasattr(tarfile, "data_filter"):
        raise InputError(f"{archive} cannot be unpacked safely: verify it with Python 3.11.4 or later.")
    try:
        with (
            progress_bar(archive.stat().st_size, "unpacking") as progress,
            archive.open("rb") as raw,
            gzip.open(raw) as content,
        ):
            with tarfile.open(fileobj=content, mode="r|") as tar:
                for entry in tar:
                    # The filter would let links pass that stay inside.
                    if not (entry.isreg() or entry.isdir()):
                        raise tarfile.SpecialFileError(entry)
                    tar.extract(entry, folder, set_attrs=False, filter="data")
                    progress.update(raw.tell() - progress.n)
            # Behind the last file, up to gzip's own checksum.
            while content.read(1 << 20):
                pass
    except tarfile.FilterError as error:
        raise InputError(
            f"{archive} is refused: it holds '{error.tarinfo.name}', which is no file or folder below the archive's "
            "own."
        ) from error
    # ValueError: names that no file can have.
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise InputError(
            f"{archive} cannot be read as an archive ({error}): get or export it again."
        ) from error


def _wrong_sums(top: Path) -> list[str]:
    lines = (top / SUMS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    sums = {name: hexadecimal for hexadecimal, _, name in (line.partition("  ") for line in lines)}
    files = {name: file for name, file in files_below(top).items() if name != SUMS}
    return (
        [f"{name} is missing." for name in sums if name not in files]
        + [f"{name} is not listed in {SUMS}." for name in files if name not in sums]
        + [
            f"{name} differs from its checksum."
            for name, file in tqdm(files.items(), "checking", unit="", leave=False, disable=None)
            if name in sums and digest(file) != f"sha256:{sums[name]}"
        ]
    )


def _wrong_records(results: Path) -> list[str]:
    """Of outputs that are in the archive."""
    wrong = []
    for file in record_files(results):
        name = file.relative_to(results).as_posix()
        try:
            record = load_record(file)
        except InputError:
            wrong.append(f"results/{name} is no record of a result.")
            continue
        path = PurePosixPath(record["path"])
        inside = not path.is_absolute() and ".." not in path.parts and (results / path).exists()
        if inside and digest(results / path) != record["digest"]:
            wrong.append(f"results/{path} differs from its record.")
    return wrong
