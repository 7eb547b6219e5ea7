"""Read what several models of a run have written."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

TITLES = {
    "matched": "matched",
    "shuffled": "shuffled in time",
    "shifted": "shifted in a circle",
}


def by_experiment(paths: Iterable[str]) -> dict[str, list[pd.DataFrame]]:
    """Experiment -> one table a seed, for files <experiment>/seed<seed>/<name>.tsv, in the order given."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for path in map(Path, paths):
        tables.setdefault(path.parents[1].name, []).append(pd.read_csv(path, sep="\t"))
    return tables


def titles(experiments: Iterable[str]) -> dict[str, str]:
    """Experiment -> title of its panel."""
    return {name: TITLES.get(name, name) for name in experiments}


def summaries(paths: Iterable[str]) -> pd.DataFrame:
    """One row a model."""
    return pd.concat([pd.read_csv(path, sep="\t") for path in paths], ignore_index=True)
