"""What an archive says of its run to repositories and to other labs' programs: a Workflow Run RO-Crate.

RO-Crate 1.1 with the profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5). It says what the files,
their records and CITATION.cff know, and no more: neither who ran the workflow nor when. Written here and not by the
library rocrate, which notes the time and draws identifiers at random; a test reads it with that library.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from pipeline.crate_citations import citations

CRATE = "ro-crate-metadata.json"
MAIN_WORKFLOW = "workflow/Snakefile"

_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    _WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
_LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
_LICENSES = "https://spdx.org/licenses/"
_MIT = f"{_LICENSES}MIT"
_RUN = "#run"
# Not by the module mimetypes, whose answer differs from machine to machine.
_FORMATS = {
    ".gz": "application/gzip",
    ".html": "text/html",
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".smk": "text/x-python",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
}

Entity = dict[str, Any]


@dataclass(frozen=True)
class PackedFile:
    """A file of an archive."""

    sha256: str
    """Hexadecimal digits."""
    n_bytes: int


@dataclass(frozen=True)
class Publication:
    """What only those know who publish an archive. Without it no profile's demands are met, and none is named."""

    day: str
    """ISO 8601, e.g. 2026-11-26."""
    license: str
    """Of the results: an identifier of SPDX, e.g. CC-BY-4.0."""


def describe(
    name: str,
    files: Mapping[str, PackedFile],
    records: Mapping[str, Mapping[str, Any]],
    publication: Publication | None = None,
) -> str:
    """The text of ro-crate-metadata.json; equal arguments give equal text.

    Parameters
    ----------
    name : of the run, e.g. demo.
    files : path below the archive's folder -> file, of all that lies beside the text, workflow/Snakefile among them.
    records : path below the archive's folder -> record, as `pipeline.provenance.load_record` reads it. Those of
        results that are not among `files` tell of inputs and versions alone.
    """
    stores = _stores(files, records)
    results = {
        path: result
        for path, record in records.items()
        if (result := f"results/{record['path']}") in files or result in stores
    }
    inputs, software = _inputs(records.values()), _software(records.values())
    people, works = citations()
    published, named_there = _of_publication(publication)
    title = f"Run of the Brain-LM crosscoder: {name}"
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": "Which features a brain that hears stories shares with a language model that reads them: "
        "trained crosscoders, their scores and evidence, figures and tables, and a record of where each is from.",
        "mainEntity": {"@id": MAIN_WORKFLOW},
        "mentions": {"@id": _RUN},
        "citation": _references(works),
        "hasPart": [*map(_to_folder, stores), *map(_to_file, files)],
        **published,
    }
    run = {
        "@id": _RUN,
        "@type": "CreateAction",
        "name": title,
        "description": _devices(records.values()),
        "instrument": {"@id": MAIN_WORKFLOW},
        "object": _references(inputs),
        "result": [_to_result(result, stores) for result in results.values()],
    }
    about = {path: {"about": _to_result(result, stores)} for path, result in results.items()}
    graph = [
        _descriptor(publication),
        root,
        *named_there,
        _workflow(files[MAIN_WORKFLOW], software),
        _language(software),
        _license(_MIT),
        run,
        *software,
        *inputs,
        *people,
        *works,
        *(_store(path, parts) for path, parts in stores.items()),
        *(_file(path, file) | about.get(path, {}) for path, file in files.items() if path != MAIN_WORKFLOW),
    ]
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, ensure_ascii=False, indent=1) + "\n"


def _stores(
    files: Mapping[str, PackedFile], records: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    """Path -> paths of its files, of each result that is a folder, such as a Zarr store."""
    recorded = {f"results/{record['path']}" for record in records.values()}
    stores: dict[str, list[str]] = {}
    for path in files:
        for parent in PurePosixPath(path).parents:
            if parent.as_posix() in recorded:
                stores.setdefault(parent.as_posix(), []).append(path)
    return stores


def _to_file(path: str) -> Entity:
    return {"@id": quote(path, errors="surrogateescape")}


def _to_folder(path: str) -> Entity:
    return _to_file(f"{path}/")


def _to_result(path: str, stores: Mapping[str, Any]) -> Entity:
    return _to_folder(path) if path in stores else _to_file(path)


def _references(entities: Iterable[Entity]) -> list[Entity]:
    return [{"@id": entity["@id"]} for entity in entities]


def _readable(path: str) -> str:
    """Without bytes that are no text, which a file's name may have."""
    return os.fsencode(path).decode("utf-8", "replace")


def _file(path: str, file: PackedFile) -> Entity:
    return {
        **_to_file(path),
        "@type": "File",
        "name": _readable(path),
        "encodingFormat": _FORMATS.get(PurePosixPath(path).suffix, "application/octet-stream"),
        "contentSize": str(file.n_bytes),
        "sha256": file.sha256,
    }


def _store(path: str, parts: Iterable[str]) -> Entity:
    return {
        **_to_folder(path),
        "@type": "Dataset",
        "name": _readable(path),
        "hasPart": [_to_file(part) for part in parts],
    }


def _descriptor(publication: Publication | None) -> Entity:
    kinds = ["https://w3id.org/ro/crate/1.1", *[_WORKFLOW_CRATE] * (publication is not None)]
    return {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [{"@id": kind} for kind in kinds],
    }


def _workflow(file: PackedFile, software: list[Entity]) -> Entity:
    return {
        **_file(MAIN_WORKFLOW, file),
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "Brain-LM crosscoder",
        "description": "Which step follows which, to be read, as it was when the run was exported. A result's record "
        "has the digest of the code that made it.",
        "programmingLanguage": {"@id": _LANGUAGE},
        "license": {"@id": _MIT},
        "softwareRequirements": _references(software),
        **_version_of("brainlm", software),
    }


def _language(software: list[Entity]) -> Entity:
    return {
        "@id": _LANGUAGE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
        "url": {"@id": "https://snakemake.readthedocs.io"},
        **_version_of("snakemake", software),
    }


def _inputs(records: Iterable[Mapping[str, Any]]) -> list[Entity]:
    """What no job of the run has made, known by its digest alone; a path of one machine tells others nothing."""
    records = list(records)
    made = {record["path"] for record in records}
    read = {of for record in records for of in record.get("inputs", {}).items() if of[0] not in made}
    return [
        {
            "@id": f"#input-{number}",
            "@type": "CreativeWork",
            "name": _readable(PurePosixPath(path).name if path.startswith("/") else path),
            "identifier": digest,
        }
        for number, (path, digest) in enumerate(sorted(read), start=1)
    ]


def _software(records: Iterable[Mapping[str, Any]]) -> list[Entity]:
    """Each version of each package that a result was made with."""
    return [
        {
            "@id": f"#{package}-{version}",
            "@type": "SoftwareApplication",
            "name": package,
            "softwareVersion": version,
        }
        for package, version in sorted(
            {of for record in records for of in record.get("versions", {}).items()}
        )
    ]


def _version_of(package: str, software: Iterable[Entity]) -> Entity:
    """The version, if all results were made with the same."""
    versions = [entity["softwareVersion"] for entity in software if entity["name"] == package]
    return {"version": versions[0]} if len(versions) == 1 else {}


def _devices(records: Iterable[Mapping[str, Any]]) -> str:
    devices = sorted({record["device"] for record in records if record.get("device")})
    on = f" Jobs ran on: {', '.join(devices)}." if devices else ""
    return f"What each result was made from, with which settings and seed, stands in results/provenance.{on}"


def _of_publication(publication: Publication | None) -> tuple[Entity, list[Entity]]:
    """What it adds to the root, and the entities that this names."""
    if publication is None:
        return {}, []
    profiles = [
        {"@id": identifier, "@type": "CreativeWork", "name": name, "version": version}
        for identifier, (name, version) in _PROFILES.items()
    ]
    chosen = _license(_LICENSES + publication.license)
    added = {
        "datePublished": publication.day,
        "license": {"@id": chosen["@id"]},
        "conformsTo": _references(profiles),
    }
    return added, profiles + [chosen] * (chosen["@id"] != _MIT)


def _license(identifier: str) -> Entity:
    return {"@id": identifier, "@type": "CreativeWork", "name": identifier.removeprefix(_LICENSES)}
