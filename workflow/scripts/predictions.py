"""What is predicted from what on the same test TRs: by the crosscoder, given one source or all, and by ridge."""

import torch

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv
from brainlm.report.ceiling import ceiling_note
from brainlm.report.tables import prediction_table
from brainlm.report.write import publish_table
from brainlm.rows.pairs import assemble
from brainlm.scores.reconstruction import cross_prediction
from brainlm.store import open_store
from job import logged
from job_inputs import listed_sources

with logged(snakemake):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    model = Crosscoder.load(snakemake.input.crosscoder)
    sources = listed_sources(snakemake.input.sources)
    test = assemble(sources, model.normalization, params.stories["test"], brain_time="matched", seed=0)
    ridge = open_store(snakemake.input.ridge)["correlation"][:]
    ceiling = read_tsv(snakemake.input.ceiling)
    publish_table(
        snakemake.output[0],
        prediction_table(cross_prediction(model, test), ridge),
        title="What is predicted from what, on test stories",
        notes=[
            f"Mean Pearson correlation over columns (voxels or hidden dimensions), {len(test.values):,} test TRs "
            "concatenated.",
            "Encoding: brain from LM. Ridge and the crosscoder may be compared there: neither sees the responses. "
            + (
                "Both see the same features, the mean of the delays. "
                if params.delays == "mean"
                else "Ridge has the features at each delay apart, the crosscoder their mean. "
            )
            + "No other row has a baseline.",
            "Given both, or what is predicted, the crosscoder sees what it reconstructs: that is a fit, not a "
            "prediction, and not to be compared with ridge. The paper's 0.44 and 0.52 are of the row 'both'.",
            ceiling_note(ceiling),
        ],
        simulated=params.simulated,
    )
