"""Figure 4: how well each voxel of the test stories is reconstructed."""

from brain_figures import draw_voxels
from brainlm.files import read_tsv
from brainlm.report.style import publish_figure
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    summary = read_tsv(snakemake.input.summary).iloc[0]
    drawn = draw_voxels(
        snakemake,
        open_store(snakemake.input.correlations)["brain_test"][:],
        quantity="test correlation",
        based_on=f"{int(summary['test_trs']):,} test TRs; a fit, no prediction: the model sees the response",
        n_undefined=int(summary["undefined_brain"]),
    )
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
