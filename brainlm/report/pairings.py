"""Is the share of latents with r near 0 larger than with other pairs of brain and LM rows?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainlm.report.write import formatted


def pairings_table(matched: pd.DataFrame, controls: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The share of the paper's class "shared" against its null over draws of the pairs.

    p = (1 + number of draws with as large a share) / (1 + draws).

    Parameters
    ----------
    matched: one row, of a joint model one a brain, with columns source and share_shared, as the scoring rule writes
        them.
    controls: "shuffled" or "shifted" -> the same of models that differ in the draw of the pairs.

    Returns
    -------
    One row a brain and control: source (where there are several), control, draws, shared (%), of draws, mean (%), of
    draws, range (%), p.
    """
    rows = []
    for source, share in zip(matched["source"], matched["share_shared"], strict=True):
        for control, models in controls.items():
            drawn = models.loc[models["source"] == source, "share_shared"].to_numpy(float)
            rows.append(
                {
                    "source": source,
                    "control": control,
                    "draws": drawn.size,
                    "shared (%)": 100 * share,
                    "of draws, mean (%)": 100 * drawn.mean(),
                    "of draws, range (%)": " to ".join(
                        formatted(100 * edge, ".1f") for edge in (drawn.min(), drawn.max())
                    ),
                    # A model without live latents has no share, and counts as one that is as large.
                    "p": (1 + np.sum(~(drawn < share))) / (1 + drawn.size),
                }
            )
    table = pd.DataFrame(rows)
    return table if len(matched) > 1 else table.drop(columns="source")
