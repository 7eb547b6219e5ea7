"""Figure 3: decoder weights of an uninterpretable, a shared and a brain-dominant latent."""

import numpy as np

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv
from brainlm.report.brain import DecoderPanel, draw_decoders, read_anatomy
from brainlm.report.style import publish_figure
from brainlm.report.tables import interpretation
from brainlm.report.write import formatted
from brainlm.scores.choice import ROLES
from brainlm.scores.evidence.verdict import labels
from job import log, logged

with logged(snakemake):
    model = Crosscoder.load(snakemake.input.crosscoder)
    kept = model.normalization["brain"].kept
    latents = read_tsv(snakemake.input.evidence).set_index("latent")
    r, verdict = latents["r"], labels(latents)
    panels = []
    for row in read_tsv(snakemake.input.chosen).itertuples():
        if row.role not in ROLES[:3]:
            continue
        weights = np.full(kept.size, np.nan, np.float32)
        if row.latent < 0:
            log.info("there is no %s latent", row.role)
            panels.append(DecoderPanel(f"{row.role}: no such latent", weights))
            continue
        weights[kept] = model.weights["brain"][:, row.latent].numpy()
        what = row.role if row.role == "uninterpretable" else f"{row.role}, {interpretation(row)}"
        panels.append(
            DecoderPanel(
                f"latent {row.latent}, r = {formatted(r[row.latent], '.2f')}\n{what}\n"
                f"(verdict: {verdict[row.latent]})",
                weights,
            )
        )
    anatomy = read_anatomy(snakemake.input.cortex, snakemake.input.voxels, kept.size)
    drawn = draw_decoders(anatomy, panels, colormap=snakemake.params.colormap)
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
