"""Pack one run into an archive that another lab can verify, or verify such an archive.

python workflow/pipeline/export.py results/demo [archive]    (without a name: results/demo.tar.gz)
python workflow/pipeline/export.py results/demo --published 2026-11-26 --license CC-BY-4.0
python workflow/pipeline/export.py --verify demo.tar.gz
"""

import argparse
import gzip
import hashlib
import io
import sys
import tarfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from tqdm import tqdm

from brainlm.errors import InputError
from brainlm.files import whole_file
from pipeline.archive_check import SUMS, check, progress_bar
from pipeline.crate import CRATE, PackedFile, Publication, describe
from pipeline.provenance import FOLDER, difference, digest, files_below, load_record, record_files

REPOSITORY = Path(__file__).parents[2]
LOCK = REPOSITORY / "envs" / "requirements.lock"
# Large, no results, or copies of them; the records hold their digests.
LEFT_OUT = tuple(
    f"{folder}/"
    for folder in ["ds003020", "simulation/bids", "activations", "responses", "features", "models", "shared"]
    + ["logs", "benchmarks"]
)

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
records (`diff --recursive --exclude='*.stat'`). envs/requirements.lock is the environment to install for it, and
workflow/ tells which step follows which.

ro-crate-metadata.json describes all this for repositories and programs: a Workflow Run RO-Crate. If the run was
exported without a day of publication and a license, these two are missing, which a repository asks for.
"""


def export(results: Path, archive: Path, publication: Publication | None = None) -> None:
    """Write the archive of a run; equal files give equal bytes (Snakemake's report.html tells when jobs ran).

    Parameters
    ----------
    results : the folder of one dataset, e.g. results/demo.
    archive : .tar.gz with one folder, named like `results`; it appears when it is complete.
    publication : for the archive's description, if it is to be published.

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
            _pack(results, partial, publication)
    except OSError as error:
        raise InputError(f"{archive} cannot be written ({error}): export again.") from error


def _pack(results: Path, archive: Path, publication: Publication | None) -> None:
    files = {"envs/requirements.lock": LOCK, **_rules(), **_archived(results)}
    with (
        archive.open("wb") as raw,
        # The name and the time that gzip would keep differ from export to export.
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
        progress_bar(sum(file.stat().st_size for file in files.values()), "packing") as progress,
    ):
        packed = {"README.txt": _add_text(tar, f"{results.name}/README.txt", README)}
        for name, file in files.items():
            size = file.stat().st_size
            packed[name] = PackedFile(digest(file).removeprefix("sha256:"), size)
            with file.open("rb") as content:
                tar.addfile(_entry(f"{results.name}/{name}", size), content)
            progress.update(size)
        records = {name: load_record(file) for name, file in files.items() if _is_record(name)}
        crate = describe(results.name, packed, records, publication)
        packed[CRATE] = _add_text(tar, f"{results.name}/{CRATE}", crate)
        lines = "".join(f"{file.sha256}  {name}\n" for name, file in packed.items())
        _add_text(tar, f"{results.name}/{SUMS}", lines)


def _rules() -> dict[str, Path]:
    """The workflow's steps; no scripts, since other code than today's may have made the results."""
    workflow = REPOSITORY / "workflow"
    files = [workflow / "Snakefile", *sorted((workflow / "rules").glob("*.smk"))]
    return {file.relative_to(REPOSITORY).as_posix(): file for file in files}


def _is_record(name: str) -> bool:
    return name.startswith(f"results/{FOLDER}/") and name.endswith(".json")


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
    return name.startswith("/") or f"{name}/".startswith(LEFT_OUT)


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


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """A regular file without owner and time."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> PackedFile:
    content = text.encode("utf-8", "surrogateescape")
    tar.addfile(_entry(name, len(content)), io.BytesIO(content))
    return PackedFile(hashlib.sha256(content).hexdigest(), len(content))


def _publication(day: str | None, license_: str | None) -> Publication | None:
    """Raises ValueError with a sentence if one of the two is missing, or is none."""
    if day is None and license_ is None:
        return None
    if day is None or license_ is None:
        raise ValueError("name both --published and --license, or neither")
    try:
        published = date.fromisoformat(day).isoformat()
    except ValueError as error:
        raise ValueError(f"--published {day} is no day, such as 2026-11-26") from error
    try:
        identifier = canonicalize_license_expression(license_)
    except InvalidLicenseExpression:
        identifier = ""
    # An expression, such as MIT OR CC0-1.0, has no page that the description could name.
    if not identifier or " " in identifier:
        raise ValueError(f"--license {license_} is no identifier of SPDX, such as CC-BY-4.0")
    return Publication(published, identifier)


def main() -> None:
    """Export or verify; ends with one sentence and exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Pack one run into an archive that another lab can verify.")
    parser.add_argument("results", type=Path, nargs="?", help="folder of one dataset, e.g. results/demo")
    parser.add_argument("archive", type=Path, nargs="?", help="what to write; <results>.tar.gz if not given")
    parser.add_argument("--verify", type=Path, metavar="ARCHIVE", help="check an archive instead")
    parser.add_argument(
        "--published", metavar="DAY", help="day of publication for the description, e.g. 2026-11-26"
    )
    parser.add_argument(
        "--license", metavar="SPDX", help="license of the results for the description, e.g. CC-BY-4.0"
    )
    given = parser.parse_args()
    if (given.results is None) == (given.verify is None):
        parser.error("name a results folder, or an archive with --verify")
    try:
        publication = _publication(given.published, given.license)
    except ValueError as error:
        parser.error(str(error))
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
            export(results, archive, publication)
            print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB, {digest(archive)}")
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
