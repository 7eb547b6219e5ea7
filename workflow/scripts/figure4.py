"""Figure 4: how well each voxel of the test stories is reconstructed."""

from pathlib import Path

from brain_figures import draw_voxels
from brainlm.files import read_tsv
from brainlm.report.style import save_figure
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    summary = read_tsv(snakemake.input.summary).iloc[0]
    simulated = snakemake.params.simulated
    figure, numbers = draw_voxels(
        snakemake,
        open_store(snakemake.input.correlations)["brain_test"][:],
        quantity="test correlation",
        based_on=f"{int(summary['test_trs']):,} test TRs; a fit, no prediction: the model sees the response",
        simulated=simulated,
        n_undefined=int(summary["undefined_brain"]),
    )
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
