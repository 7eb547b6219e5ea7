"""Draw values of voxels on the subject's cortex, or by region where the dataset has no cortex."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from brainlm.cortex.subject import load_cortex
from brainlm.cortex.voxels import read_voxel_table
from brainlm.report.brain import FlatmapPanel, decoder_flatmaps, voxel_flatmap
from brainlm.report.regions import decoder_plot, voxel_plot


def draw_voxels(snakemake: Any, values: np.ndarray, **options: Any) -> tuple[Figure, pd.DataFrame]:
    """One value a voxel, (voxel,); the figure and its numbers."""
    if snakemake.input.cortex:
        cortex = load_cortex(Path(snakemake.input.cortex[0]))
        return voxel_flatmap(cortex, values, colormap=snakemake.params.colormap, **options)
    return voxel_plot(read_voxel_table(Path(snakemake.input.voxels), values.size), values, **options)


def draw_decoders(snakemake: Any, panels: Sequence[FlatmapPanel]) -> tuple[Figure, pd.DataFrame]:
    """Decoder weights of some latents; the figure and its numbers."""
    if snakemake.input.cortex:
        cortex = load_cortex(Path(snakemake.input.cortex[0]))
        return decoder_flatmaps(cortex, panels, colormap=snakemake.params.colormap)
    table = read_voxel_table(Path(snakemake.input.voxels), panels[0].values.size)
    return decoder_plot(table, panels)
