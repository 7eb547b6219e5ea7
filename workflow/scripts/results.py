"""Read what several models of a run have written."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from brainlm.files import read_tsv
from brainlm.report.evidence import neutral_point
from brainlm.scores.evidence.tallies import verified_shares

TITLES = {
    "matched": "matched",
    "shuffled": "shuffled in time",
    "shifted": "shifted in a circle",
    "noise": "white noise in both sources",
}
OF_EACH_SOURCE = (
    "standardize",
    "undefined",
    *(f"{split}_{fit}" for split in ("test", "training") for fit in ("correlation", "explained")),
    "validation_explained",
)
"""What a summary has of every source, in columns called <quantity>_<source>."""


def subject_and_seed(path: str) -> tuple[str, int]:
    """Of a model, from a file <subject>/<experiment>/seed<seed>/<name>."""
    *_, subject, _, seed, _ = Path(path).parts
    return subject, int(seed.removeprefix("seed"))


def by_experiment(paths: Iterable[str]) -> dict[str, list[pd.DataFrame]]:
    """Experiment -> one table a seed, for files <experiment>/seed<seed>/<name>.tsv, in the order given.

    A joint model's latents are compared with each brain: "<experiment>: <subject>" -> one table a seed.
    """
    tables: dict[str, list[pd.DataFrame]] = {}
    for path in map(Path, paths):
        table, experiment = read_tsv(path), path.parents[1].name
        brains = list(table.groupby("source", sort=False)) if "source" in table else [("brain", table)]
        for brain, rows in brains:
            tables.setdefault(_name(experiment, brain, len(brains)), []).append(rows.reset_index(drop=True))
    return tables


def by_seed(paths: Iterable[str]) -> dict[int, pd.DataFrame]:
    """Seed -> table, for files seed<seed>/<name>.tsv of one experiment."""
    return {int(path.parent.name.removeprefix("seed")): read_tsv(path) for path in map(Path, paths)}


def latents_by_seed(evidence: Iterable[str], found_in_seeds: str) -> dict[int, pd.DataFrame]:
    """Seed -> evidence of the latents of a subject's matched model, with whether each is found again in most seeds.

    Parameters
    ----------
    evidence: files <experiment>/seed<seed>/evidence.tsv, also of other experiments.
    found_in_seeds: the file that says how often each latent is found again; it may have no rows.
    """
    tables = by_seed(path for path in evidence if Path(path).parents[1].name == "matched")
    found = read_tsv(found_in_seeds)
    in_most = {
        seed: found[found["seed"] == seed].set_index("latent")["found_again_in_most"] for seed in tables
    }
    return {
        seed: table.assign(found_again_in_most=table["latent"].map(in_most[seed]))
        for seed, table in tables.items()
    }


def titles(experiments: Iterable[str]) -> dict[str, str]:
    """Experiment -> title of its panel."""
    pieces = {name: name.partition(": ") for name in experiments}
    return {
        name: "".join([TITLES.get(experiment, experiment), *of_brain])
        for name, (experiment, *of_brain) in pieces.items()
    }


def with_verdicts(models: pd.DataFrame, evidence: Iterable[str]) -> pd.DataFrame:
    """Rows of `summaries`, and how much of each class is verified.

    Parameters
    ----------
    evidence: files <subject>/<experiment>/seed<seed>/evidence.tsv of all or some of the models.

    Returns
    -------
    The rows with columns verified_<class>, shares of live latents, and r0, of the same subject and brain; missing of
    models without evidence.
    """
    of_subjects: dict[str, list[str]] = {}
    for path in evidence:
        of_subjects.setdefault(subject_and_seed(path)[0], []).append(path)
    rows = []
    for subject, paths in of_subjects.items():
        latents = by_experiment(paths)
        for path in paths:
            for name, (table,) in by_experiment([path]).items():
                proven = {f"verified_{of}": share for of, share in verified_shares(table).items()}
                model = {"subject": subject, "experiment": name, "seed": subject_and_seed(path)[1]}
                rows.append({**model, **proven, "r0": neutral_point(latents, name)})
    return models.merge(pd.DataFrame(rows), on=["subject", "experiment", "seed"], how="left")


def read_all(paths: Iterable[str]) -> pd.DataFrame:
    """The rows of several tables."""
    return pd.concat([read_tsv(path) for path in paths], ignore_index=True)


def summaries(paths: Iterable[str], training: Iterable[str] = ()) -> pd.DataFrame:
    """One row a model; of a joint model one row a brain, which stands in the columns of "brain".

    With the training logs of the same models, rows also have the variance that their last epoch explained in
    validation.
    """
    rows = []
    for path, log in itertools.zip_longest(paths, training):
        table, last = read_tsv(path), read_tsv(log).iloc[-1].to_dict() if log else {}
        in_validation = {
            name: value for name, value in last.items() if name.startswith("validation_explained_")
        }
        for row in table.to_dict("records"):
            row |= in_validation
            # Of a source called "shared", share_shared is no column.
            of_source = {f"{quantity}_{row['source']}": f"{quantity}_brain" for quantity in OF_EACH_SOURCE}
            row = {of_source.get(name, name): value for name, value in row.items()}
            rows.append(row | {"experiment": _name(row["experiment"], row["source"], len(table))})
    return pd.DataFrame(rows)


def _name(experiment: str, brain: str, n_brains: int) -> str:
    return experiment if n_brains == 1 else f"{experiment}: {brain}"
