"""Pack one run into an archive that another lab can verify, or verify such an archive.

python workflow/pipeline/export.py results/demo [archive]    (without a name: results/demo.tar.gz)
python workflow/pipeline/export.py --verify demo.tar.gz
"""

import argparse
import gzip
import hashlib
import io
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from tqdm import tqdm

from brainlm.errors import InputError
from brainlm.files import whole_file
from pipeline.provenance import FOLDER, difference, digest, files_below, load_record, record_files

LOCK = Path(__file__).parents[2] / "envs" / "requirements.lock"
SUMS = "SHA256SUMS"
# Large, no results, or copies of them; the records hold their digests.
LEFT_OUT = ("ds003020", "activations", "responses", "features", "models", "shared", "logs", "benchmarks")

README = """One run of the Brain-LM crosscoder: its results, and what is needed to check them.

results/ is the run's results folder without the dataset, the responses, the language model and what was computed from
them alone. Figures and tables are in results/figures and results/tables, the trained models in
results/<subject>/<experiment>/seed<seed>.

To check that nothing has changed since the run was exported, run in this folder

    sha256sum --check SHA256SUMS

or, with the workflow's code, `python workflow/pipeline/export.py --verify ARCHIVE` on the archive, which also
compares every result with its record.

results/provenance holds a record of every result, with the SHA-256 digests of the result and of all its inputs, the
settings, the digest of the code, the versions of the packages, the device and the seed. Equal runs have equal
records: to compare a run of your own with this one, with the inputs that are not in here, compare the two folders of
records (`diff --recursive --exclude='*.stat'`). envs/requirements.lock is the environment to install for it.
"""


def export(results: Path, archive: Path) -> None:
    """Write the archive of a run; equal files give equal bytes (Snakemake's report.html tells when jobs ran).

    Parameters
    ----------
    results : the folder of one dataset, e.g. results/demo.
    archive : .tar.gz with one folder, named like `results`; it appears when it is complete.

    Raises
    ------
    InputError : if `results` is no results folder, or one of its results is not what its record says, or the archive
        would lie inside of it or in a folder that does not exist.
    """
    results, archive = results.resolve(), archive.resolve()
    if not record_files(results):
        raise InputError(
            f"{results} is no results folder, for it holds no records ({FOLDER}/): name the folder of one dataset, "
            "e.g. results/demo, after a run."
        )
    if archive.is_relative_to(results) or not archive.parent.is_dir():
        raise InputError(f"{archive} cannot be written: name a file in another folder, which exists.")
    _require_unchanged(results)
    try:
        with whole_file(archive) as partial:
            _pack(results, partial)
    except OSError as error:
        raise InputError(f"{archive} cannot be written ({error}): export again.") from error


def _pack(results: Path, archive: Path) -> None:
    files = {"envs/requirements.lock": LOCK, **_archived(results)}
    with (
        archive.open("wb") as raw,
        # The name and the time that gzip would keep differ from export to export.
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
        _progress(sum(file.stat().st_size for file in files.values()), "packing") as progress,
    ):
        sums = {"README.txt": _add_text(tar, f"{results.name}/README.txt", README)}
        for name, file in files.items():
            sums[name] = digest(file).removeprefix("sha256:")
            size = file.stat().st_size
            with file.open("rb") as content:
                tar.addfile(_entry(f"{results.name}/{name}", size), content)
            progress.update(size)
        lines = "".join(f"{hexadecimal}  {name}\n" for name, hexadecimal in sums.items())
        _add_text(tar, f"{results.name}/{SUMS}", lines)


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


def _archived(results: Path) -> dict[str, Path]:
    """Path below "results/" -> file, of all that is archived."""
    return {
        f"results/{name}": file
        for name, file in files_below(results).items()
        if not _is_left_out(name)
        # States of files hold times; what is partial is being written.
        and not (name.startswith(f"{FOLDER}/") and name.endswith(".stat"))
        and not any(part.endswith(".partial") for part in name.split("/"))
    }


def _is_left_out(name: str) -> bool:
    """Whether a path, relative to the results folder, stays out of the archive; absolute ones lie outside."""
    return name.startswith("/") or name.split("/")[0] in LEFT_OUT


def _require_unchanged(results: Path) -> None:
    """Refuse results that differ from their records, or are missing though they belong into the archive."""
    for file in tqdm(record_files(results), "checking results", unit="", leave=False, disable=None):
        record = load_record(file)
        # Whoever has little space may have removed what is not archived.
        if _is_left_out(record["path"]) and not (results / record["path"]).exists():
            continue
        sentence = difference(record, results)
        if sentence:
            raise InputError(f"{sentence} Nothing was exported.")


def _progress(total: int, doing: str) -> tqdm:
    return tqdm(total=total, desc=doing, unit="B", unit_scale=True, leave=False, disable=None)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """A regular file without owner and time."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> str:
    """Add a text file; returns the hexadecimal digits of its SHA-256."""
    content = text.encode("utf-8", "surrogateescape")
    tar.addfile(_entry(name, len(content)), io.BytesIO(content))
    return hashlib.sha256(content).hexdigest()


def _unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive below a folder."""
    if not hasattr(tarfile, "data_filter"):
        raise InputError(f"{archive} cannot be unpacked safely: verify it with Python 3.11.4 or later.")
    try:
        with (
            _progress(archive.stat().st_size, "unpacking") as progress,
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


def main() -> None:
    """Export or verify; ends with one sentence and exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Pack one run into an archive that another lab can verify.")
    parser.add_argument("results", type=Path, nargs="?", help="folder of one dataset, e.g. results/demo")
    parser.add_argument("archive", type=Path, nargs="?", help="what to write; <results>.tar.gz if not given")
    parser.add_argument("--verify", type=Path, metavar="ARCHIVE", help="check an archive instead")
    given = parser.parse_args()
    if (given.results is None) == (given.verify is None):
        parser.error("name a results folder, or an archive with --verify")
    try:
        if given.verify:
            wrong = check(given.verify)
            if wrong:
                print("\n".join(wrong))
                sys.exit(1)
            print(f"{given.verify}: every file is as its checksum and its record say.")
        else:
            results = given.results.resolve()
            archive = given.archive or results.with_name(f"{results.name}.tar.gz")
            export(results, archive)
            print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB, {digest(archive)}")
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
