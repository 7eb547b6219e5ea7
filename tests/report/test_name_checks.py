import numpy as np
import pandas as pd
import pytest

from brainlm.errors import InputError
from brainlm.files import NOT_KNOWN
from brainlm.report.name_checks import name_check, other_shared_names, planted_names

# "the" is said as often inside the spans of places as outside, "wall" more often.
ANNOTATIONS = pd.DataFrame(
    [
        *[("The", "place"), ("Wall", "place"), ("wall", "place"), ("gate", "place")],
        *[("the", ""), ("wall", ""), ("dog", ""), ("ran", "")],
        *[("the", "negative"), ("grief", "negative"), ("hurt", "negative"), ("don’t", "negative")],
    ],
    columns=["word", "theme"],
)
PLANTED = pd.DataFrame(
    {
        "feature": ["place", "negative", "lm 1"],
        "latent": [7, 2, 3],
        "well_found": [True, True, True],
    }
)
NAMES = pd.DataFrame(
    {
        "latent": [2, 3, 5, 7],
        "name": ["grief, don't", "ever", "", "wall, gate"],
        "auc": [0.7, 0.6, np.nan, 0.8],
        "null_95": [0.6, 0.7, np.nan, 0.6],
        "above_null": pd.Series([True, False, np.nan, True], dtype=object),
    }
)
EVIDENCE = pd.DataFrame(
    {
        "latent": [2, 3, 5, 7, 8],
        "verdict": ["shared", "shared", "shared", "shared", "LM"],
        "qualifier": ["", "", "mostly LM", "", ""],
    }
)


def renamed(latent: int, name: str, above_null=True) -> pd.DataFrame:
    names = NAMES.set_index("latent")
    names.at[latent, "name"], names.at[latent, "above_null"] = name, above_null
    return names.reset_index()


def test_names_of_a_themes_words_that_hold_are_counted():
    themes = planted_names(PLANTED, NAMES, ANNOTATIONS)
    assert themes["feature"].tolist() == ["place", "negative"]
    assert themes["name"].tolist() == ["wall, gate", "grief, don't"]
    assert themes["of_theme"].all() and themes["holds"].all()
    bar = name_check(themes, other_shared_names(EVIDENCE, NAMES, PLANTED))
    assert (bar.value, bar.met) == (100, "yes")
    assert bar.note == (
        "place 1 of 1; negative 1 of 1; of other latents called shared 0 of 1 have a name above its null"
    )


@pytest.mark.parametrize(
    ("name", "above_null", "of_theme"),
    [
        ("", np.nan, False),
        (NOT_KNOWN, np.nan, False),
        ("the", True, False),  # as often elsewhere
        ("wall, dog", True, False),  # all words must be the theme's
        ("wall, gate", False, True),
        ("wall, gate", np.nan, True),  # the test stories cannot tell
    ],
)
def test_a_name_of_other_words_or_one_that_does_not_hold_misses_the_bar(name, above_null, of_theme):
    themes = planted_names(PLANTED, renamed(7, name, above_null), ANNOTATIONS)
    row = themes.set_index("feature").loc["place"]
    assert row["of_theme"] == of_theme and not row["holds"]
    bar = name_check(themes, NAMES)
    assert (bar.value, bar.met) == (50, "no")
    assert bar.note.startswith("place 0 of 1; negative 1 of 1;")


def test_themes_that_were_not_well_found_do_not_count():
    planted = PLANTED.assign(well_found=[False, True, True])
    themes = planted_names(planted, renamed(7, ""), ANNOTATIONS)
    assert themes["feature"].tolist() == ["negative"] and name_check(themes, NAMES).met == "yes"
    # Its latent is one of the others then.
    assert other_shared_names(EVIDENCE, NAMES, planted)["latent"].tolist() == [3, 7]
    nothing = planted_names(PLANTED.assign(well_found=False), NAMES, ANNOTATIONS)
    bar = name_check(nothing, NAMES)
    assert bar.met == "not measured" and bar.note.startswith("none found; ")


def test_a_latent_that_was_not_asked_for_a_name_is_an_error():
    with pytest.raises(InputError, match="Latent 7 found a planted feature, but has no row of names"):
        planted_names(PLANTED, NAMES[NAMES["latent"] != 7], ANNOTATIONS)
