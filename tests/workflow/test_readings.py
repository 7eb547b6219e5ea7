"""What the paper leaves open, run as a grid of experiments."""

import pandas as pd
import pytest

from tiny_dataset import SUBJECT


def test_the_readings_are_trained_and_set_beside_the_paper(tiny, tmp_path):
    readings = {
        "standardize": ["none"],
        "lanczos_normalize": [True],
        "tokens": ["spread"],
        "relu": [False],
        "seeds": [0, 1],
        "permutations": [0, 1],
    }
    workspace = tiny.copy(tmp_path).changed(readings=readings)
    pending = workspace.pending("readings")
    assert sum(job.rule == "train" for job in pending) == 2 + 2
    assert {job.rule for job in pending} == {
        "features_0",
        "sources",
        "normalization",
        "train",
        "scores",
        "readings_table",
        "readings",
    }

    run = workspace.snakemake("readings")
    assert run.returncode == 0, run.stdout[-3000:]
    assert "How far from the paper" in run.stdout
    table = pd.read_csv(workspace.results / "tables" / SUBJECT / "readings.tsv", sep="\t")
    assert table["scaling"].tolist() == ["paper", "none"]
    summaries = workspace.results.glob(f"{SUBJECT}/reading-none-mean-spread-signed/seed*/summary.tsv")
    of_seeds = [pd.read_csv(path, sep="\t")["test_correlation_brain"].item() for path in summaries]
    assert len(of_seeds) == 2
    assert table["brain correlation"][1] == pytest.approx(sum(of_seeds) / 2, abs=1e-6)
