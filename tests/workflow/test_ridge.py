"""The baseline with features of each delay apart, in place of their mean."""

import numpy as np

from brainlm.store import open_store
from tiny_dataset import SUBJECT


def test_fir_delays_are_features_of_their_own(tiny, tmp_path):
    workspace = tiny.copy(tmp_path).changed(ridge={"n_folds": 3, "delays": "fir"})
    assert {job.rule for job in workspace.pending()} == {"features_0", "sources", "ridge", "predictions"}
    run = workspace.snakemake(f"results/tiny/{SUBJECT}/ridge.zarr")
    assert run.returncode == 0, run.stdout[-3000:]
    log = (workspace.results / "logs" / "ridge" / f"{SUBJECT}.log").read_text()
    # Four delays of a language model with 32 hidden dimensions.
    assert "128 features" in log
    of_mean, of_each = (
        open_store(results / SUBJECT / "ridge.zarr")["correlation"][:]
        for results in (tiny.results, workspace.results)
    )
    assert np.isfinite(of_each).sum() == np.isfinite(of_mean).sum()
    assert not np.allclose(of_each, of_mean, equal_nan=True)
