"""Figure 4: how well each voxel of the test stories is reconstructed."""

from brainlm.files import read_tsv
from brainlm.report.brain import draw_voxels, read_anatomy
from brainlm.report.style import publish_figure
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    correlation = open_store(snakemake.input.correlations)["brain_test"][:]
    n_trs = int(read_tsv(snakemake.input.summary)["test_trs"].iloc[0])
    drawn = draw_voxels(
        read_anatomy(snakemake.input.cortex, snakemake.input.voxels, correlation.size),
        correlation,
        quantity="test correlation",
        based_on=f"{n_trs:,} test TRs; a fit, no prediction: the model sees the response",
        colormap=snakemake.params.colormap,
    )
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
