"""Write the reported model of each subject of a finished run as a folder that other labs can use.

python workflow/pipeline/share.py results/demo    (writes results/demo/shared/<subject>/)
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from brainlm import Crosscoder
from brainlm.crosscoder.sharing import describe, save_pretrained
from brainlm.errors import InputError
from brainlm.files import read_tsv
from brainlm.report.card import CardEvidence, model_card
from brainlm.scores.evidence.bounds import VerdictBounds
from pipeline.provenance import difference, read_record

FOLDER = "shared"
EXPERIMENT = "matched"
OF_RUN = "tables/provenance.tsv"
"""Made of all models; its record holds the config that they were trained with."""


@dataclass(frozen=True)
class _Files:
    """What is known of the reported model of a subject or group."""

    model: Path
    summary: Path
    latents: Path
    evidence: Path
    """Of the model as a whole."""
    experiments: Path
    """The table of evidence, which has r0."""
    funnel: Path | None
    checks: Path | None


def share(results: Path) -> list[Path]:
    """Write the folders of a run, each as a whole or not at all; one that is there is replaced.

    Parameters
    ----------
    results : the folder of one dataset, e.g. results/demo.

    Returns
    -------
    The folders, one a subject and group.

    Raises
    ------
    InputError : if the run is not finished, one of the results that are needed is not what its record says or was
        made of others than are there, or there is something else where a folder is to be written. Nothing of a run
        is written then but folders of subjects before.
    """
    results = results.resolve()
    run = results / OF_RUN
    if not run.exists():
        raise InputError(
            f"{results} holds no finished run, for {OF_RUN} is missing: run the workflow to its end."
        )
    config = _checked_record(run, results)["params"]["config"]
    files = {name: _files(results, config, name) for name in [*config["subjects"], *config["groups"]]}
    # All before the first is written.
    for of in files.values():
        for file in filter(None, vars(of).values()):
            _checked_record(file, results)
    return [_share_model(results, config, name, of) for name, of in files.items()]


def _files(results: Path, config: Mapping[str, Any], name: str) -> _Files:
    model, tables = results / name / EXPERIMENT / f"seed{config['seeds'][0]}", results / "tables"
    return _Files(
        model=model / "crosscoder.safetensors",
        summary=model / "summary.tsv",
        latents=model / "evidence.tsv",
        evidence=model / "evidence_summary.tsv",
        experiments=tables / name / "evidence.tsv",
        funnel=None if name in config["groups"] else tables / name / "funnel.tsv",
        checks=tables / "checks.tsv" if config["dataset"]["source"] == "simulated" else None,
    )


def _checked_record(output: Path, results: Path) -> dict[str, Any]:
    """The record of an output that is as it was written, from inputs that are still the same."""
    if not output.exists():
        raise InputError(f"{output} is missing: run the workflow to its end.")
    record = read_record(output, results)
    if sentence := difference(record, results):
        raise InputError(sentence)
    for path, digest in record["inputs"].items():
        # What has no record was not made by the run, or its record lies outside.
        if (results / path).exists() and not Path(path).is_absolute():
            made = _digest_on_record(results / path, results)
            if made not in (None, digest):
                raise InputError(f"{output} was made before {results / path}: run the workflow to its end.")
    return record


def _digest_on_record(path: Path, results: Path) -> str | None:
    try:
        return read_record(path, results)["digest"]
    except InputError:
        return None


def _share_model(results: Path, config: Mapping[str, Any], name: str, files: _Files) -> Path:
    model = Crosscoder.load(files.model)
    (summary, *_) = read_tsv(files.summary).to_dict("records")
    trained_on = dict(model.provenance)
    for section, keys in {"dataset": ("tr_s", "sound_onset_s", "trim"), "language_model": ("name",)}.items():
        trained_on[section] = {**{key: config[section][key] for key in keys}, **trained_on[section]}
    trained_on["trs"] = {split: int(summary[f"{split}_trs"]) for split in ("training", "test")}
    card = model_card(
        {**describe(model), "trained_on": trained_on}, _evidence(results, files, model, summary)
    )
    folder = results / FOLDER / name
    save_pretrained(model, folder, card=card, trained_on=trained_on)
    return folder


def _evidence(results: Path, files: _Files, model: Crosscoder, summary: Mapping[str, Any]) -> CardEvidence:
    params = read_record(files.latents, results)["params"]
    summaries, of_experiments = read_tsv(files.evidence), read_tsv(files.experiments)
    r0 = of_experiments.set_index("experiment")["r0"].astype(float)
    several = len(summaries) > 1
    return CardEvidence(
        latents=read_tsv(files.latents),
        summaries=summaries,
        r0={brain: r0[f"{EXPERIMENT}: {brain}" if several else EXPERIMENT] for brain in summaries["source"]},
        fit={source: summary[f"test_correlation_{source}"] for source in model.weights},
        bounds=VerdictBounds(**params["evidence"]),
        rate=params["scores"]["false_discovery_rate"],
        funnel=files.funnel and read_tsv(files.funnel),
        checks=files.checks and read_tsv(files.checks),
    )


def main() -> None:
    """Share; ends with one sentence and exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Write a run's reported models as folders for others.")
    parser.add_argument("results", type=Path, help="folder of one dataset, e.g. results/demo")
    try:
        for folder in share(parser.parse_args().results):
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"{folder}: {size / 1e6:.1f} MB; its README.md is the model card, read it before uploading")
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
