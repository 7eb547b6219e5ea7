"""What is told of the noise ceiling: its table, and sentences below other tables and above its figure."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainlm.report.write import formatted
from brainlm.scores.ceiling import RepeatReliability, over_stories


def ceiling_rows(stories: Mapping[str, RepeatReliability]) -> pd.DataFrame:
    """What repeated stories say of all voxels together.

    Returns
    -------
    Columns story, n_repeats, n_trs, means over voxels of explainable_variance, ceiling_single and ceiling_mean, and
    the numbers of voxels n_with_signal, n_without_signal, n_with_lost_hearings. One row a story; before those of
    several, one of all, whose story is their names with ", " between. Of no story, one row with an empty name.
    """
    if not stories:
        return pd.DataFrame({"story": [""]})
    of_all = {", ".join(stories): over_stories(list(stories.values()))} if len(stories) > 1 else {}
    rows = []
    for story, found in (of_all | dict(stories)).items():
        means = {
            name: np.nanmean(getattr(found, name)) if np.isfinite(getattr(found, name)).any() else np.nan
            for name in ("explainable_variance", "ceiling_single", "ceiling_mean")
        }
        rows.append(
            {
                "story": story,
                "n_repeats": found.n_repeats,
                "n_trs": found.n_times,
                **means,
                "n_with_signal": int((found.explainable_variance > 0).sum()),
                "n_without_signal": found.n_without_signal,
                "n_with_lost_hearings": found.n_with_lost_hearings,
            }
        )
    return pd.DataFrame(rows)


def hearings(ceiling: pd.DataFrame) -> str:
    """How much was heard of the repeated stories, e.g. "5 hearings of 291 TRs".

    Parameters
    ----------
    ceiling: `ceiling_rows`, of one story at least.
    """
    stories, n_lost = ceiling.tail(max(1, len(ceiling) - 1)), int(ceiling["n_with_lost_hearings"].iloc[0])
    if len(stories) == 1:
        heard = f"{int(stories['n_repeats'].iloc[0])} hearings of {int(stories['n_trs'].iloc[0]):,} TRs"
    else:
        few, many = int(stories["n_repeats"].min()), int(stories["n_repeats"].max())
        times = f"{few}" if few == many else f"{few} to {many}"
        heard = f"{len(stories)} stories, each heard {times} times, {int(stories['n_trs'].sum()):,} TRs"
    return heard + f", fewer in {n_lost:,} voxels" * (n_lost > 0)


def ceiling_note(ceiling: pd.DataFrame) -> str:
    """Some sentences on what can be reached.

    Parameters
    ----------
    ceiling: `ceiling_rows`.
    """
    together, each = ceiling.iloc[0], ceiling.iloc[1:]
    if pd.isna(together["story"]) or not together["story"]:
        return "No test story was heard several times, so that no noise ceiling is known."
    n_lost = int(together["n_with_lost_hearings"])
    stories = each if len(each) else ceiling
    heard = ", ".join(f"{int(row.n_repeats)} hearings of '{row.story}'" for row in stories.itertuples())
    single, mean = (formatted(together[name], ".2f") for name in ("ceiling_single", "ceiling_mean"))
    variance = formatted(together["explainable_variance"], ".3f")
    of_each = "; ".join(
        f"'{row.story}' {formatted(row.explainable_variance, '.3f')}, {formatted(row.ceiling_single, '.2f')} and "
        f"{formatted(row.ceiling_mean, '.2f')}"
        for row in each.itertuples()
    )
    return (
        f"Ceiling, from {heard}: explainable variance of a hearing {variance}; a perfect prediction would correlate "
        f"with one hearing at {single} and with their mean at {mean} (voxels with measurable signal; "
        f"{int(together['n_without_signal']):,} have none)."
        + f" Means over stories are weighted by their TRs; the three numbers of each: {of_each}."
        * bool(of_each)
        + f" In {n_lost:,} voxels a hearing or more is lost (constant or not finite); they rest on the others."
        * (n_lost > 0)
    )
