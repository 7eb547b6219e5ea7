"""In simulated data the answer is known: which latent found which planted feature, and how well."""

import numpy as np
import pandas as pd

from brainlm.report.tables import Bar
from brainlm.report.write import formatted
from brainlm.scores.latents import pearson, shift_test
from brainlm.simulation.features import Planted


def match_planted(
    planted: Planted,
    maps: np.ndarray,
    *,
    training: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    test_brain: np.ndarray,
    decoder_maps: np.ndarray,
    latents: pd.DataFrame,
    minimum_shift: int,
) -> pd.DataFrame:
    """Match each planted feature to a latent on training stories and judge the match on test stories.

    A feature's latent is the live one whose activation correlates best with its time course over training
    TRs. It is *found* if their correlation over test TRs exceeds 99 % of those with the time course turned
    around in a circle. A shared feature can be found through the LM alone, so the same is asked of what the
    latent reads from the brain: *found in the brain*.

    Parameters
    ----------
    maps: (feature, voxel) planted maps.
    training, test: (time, feature) planted time courses and (time, latent) activations.
    test_brain: (time, latent) W_brainᵀ x_brain over test TRs.
    decoder_maps: (voxel, latent) brain decoder weights.
    latents: columns latent, r, class, alive, agreement, agreement_significant, one row a latent in order.

    Returns
    -------
    One row a feature: feature, kind, latent, training_correlation, test_correlation, null_99, found,
    brain_correlation, found_in_brain, map_correlation (NaN where nothing is planted in the brain), r, class,
    agreement, agreement_significant.
    """
    courses, activation = training
    alive = latents["alive"].to_numpy()
    rows = []
    for i, (name, kind) in enumerate(zip(planted.names, planted.kinds, strict=True)):
        with_each = pearson(np.repeat(courses[:, [i]], activation.shape[1], axis=1), activation)
        latent = int(np.argmax(np.where(alive & np.isfinite(with_each), with_each, -np.inf)))
        course = test[0][:, [i]]
        held_out = shift_test(course, test[1][:, [latent]], minimum_shift=minimum_shift)
        in_brain = shift_test(course, test_brain[:, [latent]], minimum_shift=minimum_shift)
        rows.append(
            {
                "feature": name,
                "kind": kind,
                "latent": latent,
                "training_correlation": with_each[latent],
                "test_correlation": held_out.correlation[0],
                "null_99": held_out.null_99[0],
                "found": bool(held_out.correlation[0] > held_out.null_99[0]),
                "brain_correlation": in_brain.correlation[0],
                "found_in_brain": bool(in_brain.correlation[0] > in_brain.null_99[0]),
                "map_correlation": pearson(maps[[i]].T, decoder_maps[:, [latent]])[0],
            }
        )
    columns = ["latent", "r", "class", "agreement", "agreement_significant"]
    return pd.DataFrame(rows).merge(latents[columns], on="latent", how="left")


def ceiling_check(ceilings: pd.DataFrame) -> Bar:
    """Does the explainable variance of the repeated story come out as planted?

    Parameters
    ----------
    ceilings: one row a subject, and story of several: explainable_variance and planted_explainable_variance, means
        over voxels; no such columns if no story is repeated.
    """
    name = "explainable variance of the repeated story: largest error"
    if "explainable_variance" not in ceilings:
        return Bar(name, np.nan, 5, "<=", "%")
    found, planted = ceilings["explainable_variance"], ceilings["planted_explainable_variance"]
    note = "; ".join(
        f"{formatted(a, '.3f')}, planted {formatted(b, '.3f')}" for a, b in zip(found, planted, strict=True)
    )
    return Bar(name, 100 * (found / planted - 1).abs().max(), 5, "<=", "%", f"mean over voxels: {note}")


def demo_checks(summaries: pd.DataFrame, planted: pd.DataFrame) -> list[Bar]:
    """What the method must show on simulated data, and where it must find nothing.

    Parameters
    ----------
    summaries: one row a model of any experiment, as the scoring rule writes it.
    planted: `match_planted` of the matched and shuffled models of all subjects and seeds, one below the
        other, with a column experiment.

    Returns
    -------
    The checks, in the order of the table.
    """
    mean = summaries.groupby("experiment").mean(numeric_only=True)
    matched, control = (planted[planted["experiment"] == name] for name in ("matched", "shuffled"))
    kind = {name: table for name, table in matched.groupby("kind")}
    shared_control = control[control["kind"] == "shared"]
    stripes = matched[matched["feature"] == "stripes"]
    found_as_brain = stripes["found"] & (stripes["class"] == "brain-dominant")
    in_brain = matched[matched["kind"] != "lm-only"]
    classes = kind["shared"]["class"].value_counts()
    noise = mean["share_agreeing"].get("noise", np.nan)
    return [
        Bar(
            "shared latents, matched : shuffled",
            _ratio(mean.loc["matched", "share_shared"], mean.loc["shuffled", "share_shared"]),
            3,
            ">=",
            note=f"{_percent(mean.loc['matched', 'share_shared'])} against "
            f"{_percent(mean.loc['shuffled', 'share_shared'])} of live latents; shifted: "
            f"{_percent(mean.loc['shifted', 'share_shared'])}",
        ),
        Bar(
            "shared features found on test stories",
            100 * kind["shared"]["found"].mean(),
            80,
            ">=",
            "%",
            f"lowest test correlation {formatted(kind['shared']['test_correlation'].min(), '.2f')}; "
            f"shuffled, through the LM alone: {_percent(shared_control['found'].mean())}",
        ),
        Bar(
            "shared features found in the brain on test stories",
            100 * kind["shared"]["found_in_brain"].mean(),
            80,
            ">=",
            "%",
            f"lowest test correlation {formatted(kind['shared']['brain_correlation'].min(), '.2f')}; "
            f"shuffled: {_percent(shared_control['found_in_brain'].mean())}",
        ),
        Bar(
            "shared features called brain-dominant",
            int((kind["shared"]["class"] == "brain-dominant").sum()),
            0,
            "<=",
            note=", ".join(f"{count} {name}" for name, count in classes.items())
            + " (features x subjects x seeds)",
        ),
        Bar(
            "median r, brain-only minus shared features",
            kind["brain-only"]["r"].median() - kind["shared"]["r"].median(),
            0.5,
            ">=",
            note=" minus ".join(
                formatted(kind[name]["r"].median(), ".2f") for name in ("brain-only", "shared")
            ),
        ),
        Bar(
            "stripe artefact found and brain-dominant",
            100 * found_as_brain.mean(),
            100,
            ">=",
            "%",
            f"lowest r {formatted(stripes['r'].min(), '.2f')}",
        ),
        Bar(
            "planted maps matched by their latent's decoder map",
            100 * (in_brain["map_correlation"] > 0.5).mean(),
            100,
            ">=",
            "%",
            f"correlation over voxels above 0.5; lowest {formatted(in_brain['map_correlation'].min(), '.2f')}",
        ),
        Bar(
            "shared latents with significant agreement, matched : shifted",
            _ratio(
                mean.loc["matched", "shared_agreeing_latents"], mean.loc["shifted", "shared_agreeing_latents"]
            ),
            3,
            ">=",
            note=f"{mean.loc['matched', 'shared_agreeing_latents']:.1f} against "
            f"{mean.loc['shifted', 'shared_agreeing_latents']:.1f} a model",
        ),
        Bar("white noise: latents with significant agreement", 100 * noise, 1, "<=", "%"),
        Bar(
            "largest change of a class share with another initial norm",
            _largest_change(summaries, "matched", "init-norm"),
            10,
            "<=",
            "points",
            "one subject and seed",
        ),
    ]


def _largest_change(summaries: pd.DataFrame, one: str, other: str) -> float:
    """Percentage points between two experiments on the models that both have; NaN if there are none."""
    shares = [column for column in summaries if column.startswith("share_") and column != "share_agreeing"]
    of = {
        name: summaries[summaries["experiment"] == name].set_index(["subject", "seed"])[shares]
        for name in (one, other)
    }
    both = of[one].index.intersection(of[other].index)
    if both.empty:
        return float("nan")
    change = (of[one].loc[both].mean() - of[other].loc[both].mean()).abs()
    return float(100 * change.max())


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else np.inf if above > 0 else np.nan


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
