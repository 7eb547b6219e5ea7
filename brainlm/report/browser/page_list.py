"""Which page is whose: a table of the latents that have one, for readers who do not have the pages before them."""

from pathlib import Path

import pandas as pd

from brainlm.report.browser.pages import headings
from brainlm.report.browser.run import Tables
from brainlm.scores.evidence.verdict import numbers


def page_list(tables: Tables, folder: Path) -> pd.DataFrame:
    """The live latents of one model and brain, and where the page of each lies.

    Parameters
    ----------
    folder: of the pages, as readers are told where it is.

    Returns
    -------
    One row a live latent, in order: latent (int), verdict (with its qualifier), r, agreement (float; NaN where it is
    not known), name ("no name" where there is none), page (a path).
    """
    named = headings(tables).values()
    return pd.DataFrame(
        {
            "latent": [heading.latent for heading in named],
            "verdict": [heading.verdict for heading in named],
            "r": numbers(tables.live, "r"),
            "agreement": numbers(tables.live, "agreement"),
            "name": [heading.name or "no name" for heading in named],
            "page": [(folder / heading.page).as_posix() for heading in named],
        }
    )
