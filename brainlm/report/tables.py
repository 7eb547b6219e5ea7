"""The tables of a run: what stands in them. `publish_table` writes them."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from brainlm.files import NOT_KNOWN
from brainlm.report.write import CLASS_LABELS, formatted, spelt_out
from brainlm.scores.evidence.verdict import labels


def table1(chosen: pd.DataFrame, latents: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Table 1: latents chosen to illustrate the classes, each with the theme that it separates best.

    Parameters
    ----------
    chosen: columns latent (-1: none), class, theme, auc, null_95, n_candidates, pinned; one row of the table
        each, as `brainlm.scores.interpretation.interpret` gives them.
    latents: columns latent, r, class, verdict, qualifier, agreement, density; one row for each latent of the
        dictionary.
    names: columns latent, name ("": none), as `brainlm.scores.names.name_latents` gives them.

    Returns
    -------
    Columns latent, r, class, verdict, name ("no name" where there is none), interpretation, AUC, null (95 %),
    agreement, density. The class is the latent's own, which for a pinned latent need not be the one asked for.
    """
    rows = _with_latents(chosen, latents)
    return pd.DataFrame(
        {
            "latent": rows["latent"],
            "r": rows["r"],
            "class": rows["class"],
            "verdict": rows["label"],
            "name": rows["latent"].map(names.set_index("latent")["name"]).replace("", "no name"),
            "interpretation": rows["interpretation"],
            "AUC": rows["auc"],
            "null (95 %)": rows["null_95"],
            "agreement": rows["agreement"],
            "density": rows["density"],
        }
    )


def table2(chosen: pd.DataFrame, latents: pd.DataFrame, passages: pd.DataFrame) -> pd.DataFrame:
    """Table 2: what was being said when the latents of Table 1 were most active.

    Parameters
    ----------
    chosen, latents: as for `table1`.
    passages: columns latent, rank, story, time_s (s after sound onset), activation, passage.

    Returns
    -------
    Columns latent, class, interpretation, story, time_s, activation, passage; a row for each passage, best
    first, and one row without a passage for a latent that has none.
    """
    rows = _with_latents(chosen, latents)[["latent", "class", "interpretation"]]
    ranked = passages.sort_values(["latent", "rank"]).drop(columns="rank").astype({"latent": "Int64"})
    # A missing latent would match a missing latent: passages have none, but say so here.
    return rows.merge(ranked.dropna(subset="latent"), on="latent", how="left")


def shares_table(summaries: pd.DataFrame) -> pd.DataFrame:
    """Each experiment's class shares, how much of them is verified, agreement and fit, mean over seeds.

    Parameters
    ----------
    summaries: one row a model, with the columns that the scoring rule writes; validation_explained_brain and
        validation_explained_lm, the fractions of variance that its last epoch explained in validation; and
        verified_<class> and r0, NaN of models whose latents were not asked for evidence.

    Returns
    -------
    One row an experiment, in the order of first appearance; shares in percent of live latents.
    """
    numbers = summaries.groupby("experiment", sort=False).mean(numeric_only=True)
    first = summaries.groupby("experiment", sort=False).first()
    percent: dict[str, str] = {}
    for name, label in CLASS_LABELS.items():
        percent |= {label: f"share_{name}", f"{label}, verified": f"verified_{name}"}
    percent["agreeing"] = "share_agreeing"
    return pd.DataFrame(
        {
            "experiment": first.index,
            "scaling (brain / LM)": (first["standardize_brain"] + " / " + first["standardize_lm"]).to_numpy(),
            "brain time": first["brain_time"].to_numpy(),
            "seeds": summaries.groupby("experiment", sort=False).size().to_numpy(),
            "live latents": numbers["live_latents"].to_numpy(),
            **{f"{name} (%)": 100 * numbers[column].to_numpy() for name, column in percent.items()},
            "r0": numbers["r0"].to_numpy(),
            "brain correlation, test": numbers["test_correlation_brain"].to_numpy(),
            "brain correlation, training": numbers["training_correlation_brain"].to_numpy(),
            "LM correlation, test": numbers["test_correlation_lm"].to_numpy(),
            "LM correlation, training": numbers["training_correlation_lm"].to_numpy(),
            "brain variance explained, validation": numbers["validation_explained_brain"].to_numpy(),
            "LM variance explained, validation": numbers["validation_explained_lm"].to_numpy(),
        }
    )


def shown_shares(numbers: pd.DataFrame) -> pd.DataFrame:
    """The table of shares for reading: what of each class is verified stands in its cell.

    Parameters
    ----------
    numbers: of `shares_table`.
    """
    shown = numbers.copy()
    for label in CLASS_LABELS.values():
        both = numbers[[f"{label} (%)", f"{label}, verified (%)"]].to_numpy(float)
        cells = [
            f"{formatted(share, '.1f')} ({formatted(proven, '.1f') if np.isfinite(proven) else NOT_KNOWN})"
            for share, proven in both
        ]
        shown[f"{label} (%)"] = cells
    shown = shown.drop(columns=[f"{label}, verified (%)" for label in CLASS_LABELS.values()])
    return shown.rename(
        columns={f"{label} (%)": f"{label} (verified) (%)" for label in CLASS_LABELS.values()}
    )


def with_unknown_spelt_out(table: pd.DataFrame) -> pd.DataFrame:
    """The same with "not known" for what models without evidence lack: what is verified, and r0."""
    of_evidence = [name for name in table if name.endswith((", verified (%)", "r0"))]
    return table.assign(**spelt_out(table[of_evidence]))


def sensitivity_table(summaries: pd.DataFrame) -> pd.DataFrame:
    """Class shares under each scaling, matched and shuffled side by side, for one subject and seed.

    Parameters
    ----------
    summaries: one row a model of that subject and seed; of several with the same scaling and pairing the
        first counts.

    Returns
    -------
    One row a scaling, with the shares of the classes in percent, NaN where it was run only matched, or only shuffled.
    """
    scaling = summaries["standardize_brain"] + " / " + summaries["standardize_lm"]
    first = summaries.assign(scaling=scaling).groupby(["scaling", "brain_time"], sort=False).first()
    rows = []
    for name in scaling.unique():
        found = {time: (name, time) in first.index for time in ("matched", "shuffled")}
        # Models of another pairing alone, such as noise, have no place here.
        if not any(found.values()):
            continue
        missing = pd.Series(np.nan, index=first.columns)
        matched, shuffled = (first.loc[(name, time)] if there else missing for time, there in found.items())
        row: dict[str, object] = {"scaling (brain / LM)": name}
        for label, column in (
            ("shared", "share_shared"),
            ("brain-dominant", "share_brain-dominant"),
            ("LM-dominant", "share_lm-dominant"),
        ):
            row[f"{label}, matched (%)"] = 100 * matched[column]
            row[f"{label}, shuffled (%)"] = 100 * shuffled[column]
        rows.append(row)
    return pd.DataFrame(rows)


def scalings_without_partner(summaries: pd.DataFrame) -> list[str]:
    """Scalings (brain / LM) that were run only matched, or only shuffled; in `sensitivity_table` they have gaps.

    Parameters
    ----------
    summaries: as for `sensitivity_table`.
    """
    scaling = summaries["standardize_brain"] + " / " + summaries["standardize_lm"]
    compared = summaries["brain_time"].isin(["matched", "shuffled"])
    n_ways = summaries[compared].groupby(scaling[compared], sort=False)["brain_time"].nunique()
    return n_ways.index[n_ways == 1].tolist()


def interpretation_notes(span_s: float, *, simulated: bool) -> list[str]:
    """How the labels of tables 1 and 2 were given."""
    if simulated:
        belongs = (
            f"if more than half of the words of the {span_s:g} s before it lie in the theme's annotated spans"
        )
    else:
        belongs = f"if it is in the tenth of TRs with most of the theme's words in the {span_s:g} s before it"
    return [
        "A latent's interpretation is the theme whose TRs its activation separates best from the others on test "
        f"stories: AUC, the area under the ROC curve. A TR belongs to a theme {belongs}.",
        "Null: 95th percentile of the best AUC among the latents that could be chosen and all themes after the "
        "themes' labels are shifted in a circle; a label is given only above it, one in twenty by chance.",
    ]


VERIFIED_NOTE = (
    "Verified: latents of the class with a verdict that bears it out (see the table evidence), in percent of live "
    "latents too: shared; contributing to the brain alone, artefacts apart, or to the LM alone, or shared and "
    "mostly the brain's or the LM's. r0: the r of white noise in both sources, around which r tells nothing."
)
"""What shares of classes are to be read with."""
CHOICE_NOTE = (
    "Chosen: of each class the latent that separates a theme best, among those whose verdict bears out their class "
    "if there are any, else, of the class shared, among those that agree; none is shown twice."
)
"""How the latents of tables 1 and 2 were chosen."""


def theme_warnings(n_heard: Mapping[str, int], untested: Iterable[str]) -> list[str]:
    """A sentence for each reason why no latent can be found for some themes.

    Parameters
    ----------
    n_heard: theme -> how many words of the test stories belong to it.
    untested: themes that no TR or every TR belongs to.
    """
    unheard = [f"'{theme}'" for theme in untested if n_heard[theme] == 0]
    even = [f"'{theme}'" for theme in untested if n_heard[theme] > 0]
    sentences = []
    if unheard:
        sentences.append(
            f"No test story has a word of the theme{'s' * (len(unheard) > 1)} {', '.join(unheard)}, for which no "
            "latent can be found: compare the spelling of its words with the transcripts'."
        )
    if even:
        sentences.append(
            f"Words of the theme{'s' * (len(even) > 1)} {', '.join(even)} are heard before no test TR or before all "
            "alike, so that no latent can be found: give other words."
        )
    return sentences


def _with_latents(chosen: pd.DataFrame, latents: pd.DataFrame) -> pd.DataFrame:
    """The chosen latents with their r, own class, verdict, agreement and density, and an interpretation in words."""
    own = latents[["latent", "r", "class", "agreement", "density"]].rename(columns={"class": "own_class"})
    own = own.assign(label=labels(latents))
    rows = chosen.merge(own, on="latent", how="left")
    return rows.assign(
        **{
            "interpretation": [interpretation(row) for row in rows.itertuples()],
            "class": rows["own_class"].fillna(rows["class"]),
            "latent": rows["latent"].astype("Int64").mask(rows["latent"] < 0),
        }
    )


class ChosenLatent(Protocol):
    """A row of `brainlm.scores.choice.choose_latents`."""

    latent: int
    theme: str
    auc: float
    null_95: float
    n_candidates: int
    pinned: bool


def interpretation(row: ChosenLatent) -> str:
    """What a chosen latent is called."""
    if row.latent < 0 and row.n_candidates == 0:
        return "no live latent is left in this class"
    if np.isnan(row.auc):
        return "cannot be tested: the themes are heard never or always"
    found = row.theme if row.auc > row.null_95 else f"not above its null (best theme: {row.theme})"
    return f"{found}; latent set by hand" if row.pinned else found


def prediction_table(crosscoder: Mapping[tuple[str, str], np.ndarray], ridge: np.ndarray) -> pd.DataFrame:
    """What is predicted from what: the crosscoder's correlations, and ridge's for the brain from the LM.

    Parameters
    ----------
    crosscoder: (given source or "both", predicted source) -> (column,) correlations.
    ridge: (voxel,) correlations.

    Returns
    -------
    Columns given, predicted, kind, crosscoder, ridge, columns; one row for each pair, predictions first.
    """
    rows = []
    for (given, predicted), correlation in crosscoder.items():
        is_prediction = given not in ("both", predicted)
        baseline = np.nanmean(ridge) if (given, predicted) == ("lm", "brain") else np.nan
        rows.append(
            {
                "given": given,
                "predicted": predicted,
                "kind": "prediction" if is_prediction else "fit",
                "crosscoder": np.nanmean(correlation),
                "ridge": baseline,
                "columns": int(np.isfinite(correlation).sum()),
            }
        )
    return pd.DataFrame(rows).sort_values("kind", ascending=False, kind="stable", ignore_index=True)
