"""All scores of one model in two tables: one row a latent, and one row for the whole, for each source."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from brainlm.rows.pairs import Rows
from brainlm.scores.latents import (
    agreement_test,
    class_shares,
    classify,
    density,
    relative_difference,
)

if TYPE_CHECKING:
    from brainlm.crosscoder.model import Crosscoder
    from brainlm.scores.reconstruction import SourceFit


def latent_table(
    model: "Crosscoder", test: Rows, *, minimum_shift: int, false_discovery_rate: float, reference: str = "lm"
) -> pd.DataFrame:
    """Whose each latent is, and whether that holds on unseen stories.

    Parameters
    ----------
    test: normalized rows of the test stories.
    minimum_shift: rows; smallest circular shift in agreement's null.
    false_discovery_rate: for significant agreement, over live latents (Benjamini-Hochberg).
    reference: the source that each other one is compared with.

    Returns
    -------
    One row a latent, in order, for each source but the reference: latent, source, r, class, the norm in every
    source (brain_norm, lm_norm), alive, density, agreement, agreement_null_99, agreement_p, agreement_significant.
    """
    norms = model.decoder_norms()
    values, active = model.active_rows({source: test.source(source) for source in model.weights})
    of_all_sources = {
        **{f"{source}_norm": norm for source, norm in norms.items()},
        "alive": model.alive,
        "density": density(values, active, model.n_latents),
    }
    tables = []
    for source in model.weights:
        if source == reference:
            continue
        r = relative_difference(norms[source], norms[reference])
        agreement = agreement_test(
            model, test, minimum_shift=minimum_shift, source=source, reference=reference
        )
        # Dead latents are not tested: they would only dilute the correction.
        significant = np.zeros(model.n_latents, bool)
        adjusted = false_discovery_control(agreement.p_value[model.alive])
        significant[model.alive] = adjusted <= false_discovery_rate
        columns = {
            "latent": np.arange(model.n_latents),
            "source": source,
            "r": r,
            "class": classify(r),
            **of_all_sources,
            "agreement": agreement.correlation,
            "agreement_null_99": agreement.null_99,
            "agreement_p": agreement.p_value,
            "agreement_significant": significant,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def model_summary(
    model: "Crosscoder", latents: pd.DataFrame, fits: "Mapping[str, Mapping[str, SourceFit]]"
) -> dict[str, Any]:
    """Shares of the classes among live latents, agreement, and the fit of test and training side by side.

    Parameters
    ----------
    latents: rows of `latent_table` that compare one source.
    fits: split -> source -> fit.

    Returns
    -------
    Column -> value. Correlations are means over finite values; undefined_<source> counts the columns without
    one over the test TRs, those excluded from the model among them.
    """
    live = latents[latents["alive"]]
    shared = live[live["class"] == "shared"]
    shares = class_shares(latents["class"], latents["alive"])
    summary = {
        "source": latents["source"].iloc[0],
        **{f"standardize_{source}": model.normalization[source].standardize for source in model.weights},
        "n_latents": model.n_latents,
        "live_latents": len(live),
        **{f"share_{name}": share for name, share in shares.items()},
        "share_agreeing": live["agreement_significant"].mean(),
        "shared_latents": len(shared),
        "shared_agreeing_latents": int(shared["agreement_significant"].sum()),
    }
    for split, fit_of in fits.items():
        for source, fit in fit_of.items():
            summary[f"{split}_correlation_{source}"] = np.nanmean(fit.correlation)
            summary[f"{split}_explained_{source}"] = fit.explained
    for source, fit in fits["test"].items():
        excluded = int((~model.normalization[source].kept).sum())
        summary[f"undefined_{source}"] = excluded + int(np.isnan(fit.correlation).sum())
    return summary
