"""Whose each latent is, whether it holds on unseen stories, and how well the sources are reconstructed."""

import math

import numpy as np
import pandas as pd
from job import describe, log, logged, recordings

from brainlm.crosscoder import Crosscoder
from brainlm.scores import (
    agreement_test,
    class_shares,
    classify,
    density,
    false_discovery_control,
    reconstruction_fit,
    relative_difference,
)
from brainlm.sources import assemble
from brainlm.store import add_array, add_strings, new_store

with logged(snakemake):
    params = snakemake.params
    model, sources = Crosscoder.load(snakemake.input.crosscoder), recordings(snakemake)
    rows = assemble(sources, model.normalization, params.stories["test"], **params.pairing)
    norms = model.decoder_norms()
    r = relative_difference(norms["brain"], norms["lm"])
    test = agreement_test(
        model, rows, minimum_shift=math.ceil(params.scores["minimum_shift_s"] / params.tr_s)
    )
    # Dead latents are not tested: they would only dilute the correction.
    significant = np.zeros(model.n_latents, bool)
    significant[model.alive] = false_discovery_control(
        test.p_value[model.alive], params.scores["false_discovery_rate"]
    )
    _, active = model.active_rows({source: rows.source(source) for source in model.weights})
    latents = pd.DataFrame(
        {
            "latent": np.arange(model.n_latents),
            "r": r,
            "class": classify(r),
            "brain_norm": norms["brain"],
            "lm_norm": norms["lm"],
            "alive": model.alive,
            "density": density(active, model.n_latents),
            "agreement": test.correlation,
            "agreement_null_99": test.null_99,
            "agreement_p": test.p_value,
            "agreement_significant": significant,
        }
    )
    latents.to_csv(snakemake.output.latents, sep="\t", index=False)

    fits = {"test": reconstruction_fit(model, rows)}
    n_test_trs = len(rows.values)
    del rows
    training_rows = assemble(sources, model.normalization, params.stories["train"], **params.pairing)
    fits["training"] = reconstruction_fit(model, training_rows)

    live = latents[latents["alive"]]
    shared = live[live["class"] == "shared"]
    summary = {
        **dict(snakemake.wildcards),
        **{f"standardize_{source}": model.normalization[source].standardize for source in model.weights},
        "brain_time": params.pairing["brain_time"],
        "n_latents": model.n_latents,
        "live_latents": len(live),
        **{
            f"share_{name}": share for name, share in class_shares(latents["class"], latents["alive"]).items()
        },
        "share_agreeing": live["agreement_significant"].mean(),
        "shared_latents": len(shared),
        "shared_agreeing_latents": int(shared["agreement_significant"].sum()),
        "training_trs": len(training_rows.values),
        "test_trs": n_test_trs,
    }
    for split, fit_of in fits.items():
        for source, fit in fit_of.items():
            summary[f"{split}_correlation_{source}"] = np.nanmean(fit.correlation)
            summary[f"{split}_explained_{source}"] = fit.explained
    for source, fit in fits["test"].items():
        excluded = int((~model.normalization[source].kept).sum())
        summary[f"undefined_{source}"] = excluded + int(np.isnan(fit.correlation).sum())
    pd.DataFrame([summary]).to_csv(snakemake.output.summary, sep="\t", index=False)
    log.info(describe(summary))

    averaging = "Pearson over all test TRs concatenated, one value a column; means are over finite values"
    with new_store(snakemake.output.correlations, {"averaging": averaging}) as store:
        add_strings(store, "test_story", params.stories["test"], "test_story")
        for source, column in (("brain", "voxel"), ("lm", "hidden")):
            kept = model.normalization[source].kept
            for name, values in {
                f"{source}_test": fits["test"][source].correlation[None],
                f"{source}_training": fits["training"][source].correlation[None],
                f"{source}_test_by_story": fits["test"][source].story_correlation,
            }.items():
                full = np.full((len(values), kept.size), np.nan, np.float32)
                full[:, kept] = values
                by_story = name.endswith("by_story")
                dims = ("test_story", column) if by_story else (column,)
                add_array(store, name, full if by_story else full[0], dims)
