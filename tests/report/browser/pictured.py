"""The example run with a small cortex: two square hemispheres, a voxel a pixel, and V1 in both."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from brainlm.cortex.subject import Cortex
from brainlm.cortex.voxels import voxel_table
from brainlm.report.browser.downloads import Volume
from brainlm.report.browser.maps import Brain, Partner
from tests.report.browser.example import N_LATENTS, Example, example

HEIGHT, WIDTH = 16, 36
GAP = slice(17, 19)


def small_cortex() -> Cortex:
    on_cortex = np.ones((HEIGHT, WIDTH), bool)
    on_cortex[:, GAP] = False
    pixels = np.flatnonzero(on_cortex)
    voxel_of_pixel = np.arange(pixels.size)
    matrix = sparse.csr_matrix(
        (np.ones(pixels.size, np.float32), (pixels, voxel_of_pixel)), shape=(on_cortex.size, pixels.size)
    )
    row, column = np.divmod(pixels, WIDTH)
    in_v1 = (row < 6) & ((column < 6) | (column >= WIDTH - 6))
    corners = np.array([[0, 0], [5, 0], [5, 5], [0, 5]], np.float32)
    outlines = [corners, corners + np.array([WIDTH - 6, 0], np.float32)]
    return Cortex(
        mask=np.ones((1, 1, pixels.size), bool),
        pixel_of_voxel=matrix,
        on_cortex=on_cortex,
        curvature=np.where(on_cortex, np.where(np.arange(WIDTH) % 5 < 3, 1.0, -1.0), np.nan).astype(
            np.float32
        ),
        roi_outlines={"V1": outlines},
        roi_labels={"V1": [(2.5, 2.5), (WIDTH - 3.5, 2.5)]},
        voxel_rois={"V1": np.flatnonzero(in_v1)},
    )


def cortex_example() -> Example:
    """With partners in another seed and in another subject, which has a cortex as well."""
    cortex, case = small_cortex(), example()
    random = np.random.default_rng(5)
    decoder = random.standard_normal((N_LATENTS, cortex.n_voxels)).astype(np.float32)
    brain = Brain(cortex, decoder)
    return replace(
        case,
        brain=brain,
        voxels=voxel_table(cortex.mask, cortex.voxel_rois),
        decoders={**case.decoders, "brain": decoder.T},
        partners=(Partner("SIM01", 1, brain), Partner("SIM02", 1, brain)),
        volume=Volume(cortex.mask.shape[::-1], np.diag([2.0, 2.0, 2.0, 1.0])),
    )
