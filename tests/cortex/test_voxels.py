"""Voxel tables and summaries over ROIs against closed forms and a slow reference."""

import tracemalloc

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.cortex.voxels import (
    latent_roi_weights,
    read_voxel_table,
    roi_summary,
    rois_of,
    save_voxel_table,
    unnamed_voxels,
    voxel_table,
)
from brainlm.errors import InputError

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=";"), min_size=1, max_size=5)


@st.composite
def areas(draw, n_voxels: int = 12) -> dict[str, np.ndarray]:
    """Area -> its voxels, ascending, of a subject with `n_voxels`; areas may overlap and be empty."""
    members = st.sets(st.integers(0, n_voxels - 1)).map(lambda chosen: np.array(sorted(chosen), np.int64))
    return draw(st.dictionaries(NAMES.filter(lambda name: name != "n/a"), members, max_size=5))


def table_of(rois: dict[str, list[int]], n_voxels: int) -> pd.DataFrame:
    mask = np.ones((1, 1, n_voxels), bool)
    return voxel_table(mask, {name: np.array(members, np.int64) for name, members in rois.items()})


def written(tmp_path, text: str | bytes):
    path = tmp_path / "voxels.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# The table of a subject


def test_rows_follow_the_columns_of_the_data_and_index_the_nifti_volume(tmp_path):
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.4
    volume = np.random.default_rng(1).random((5, 4, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "volume.nii.gz")
    table = voxel_table(mask, {})
    assert table.columns.tolist() == ["voxel", "i", "j", "k", "rois"]
    assert table["voxel"].tolist() == list(range(mask.sum()))
    i, j, k = (table[axis].to_numpy(int) for axis in "ijk")
    # pycortex takes the data's columns out of the volume as (z, y, x).
    columns = volume.T[mask]
    np.testing.assert_array_equal(nibabel.load(tmp_path / "volume.nii.gz").get_fdata()[i, j, k], columns)


def test_rois_of_a_voxel_are_joined_in_alphabetical_order():
    table = table_of({"V1": [0, 2], "AC": [2], "none": []}, 4)
    assert table["rois"].tolist() == ["V1", "", "AC;V1", ""]


@EXAMPLES
@given(areas())
def test_rois_of_a_table_are_those_it_was_made_of(rois):
    found = rois_of(table_of(rois, 12))
    assert list(found) == sorted(name for name, members in rois.items() if members.size)
    for name, members in found.items():
        np.testing.assert_array_equal(members, rois[name])
        assert members.dtype == np.int64


@pytest.mark.parametrize("name", ["a;b", "", "  ", "all voxels", "no roi", "n/a"])
def test_names_that_would_be_ambiguous_are_refused(name):
    with pytest.raises(InputError, match=f"called '{name.strip()}': rename it"):
        table_of({name: [0]}, 2)


def test_superfluous_blanks_in_names_are_left_out():
    assert table_of({" sPM \t v\n": [0]}, 1)["rois"].tolist() == ["sPM v"]


# Writing and reading


@EXAMPLES
@given(rois=areas(), known=st.booleans())
def test_a_saved_table_is_read_back_unchanged(tmp_path_factory, rois, known):
    table = table_of(rois, 12)
    if not known:
        table[["i", "j", "k"]] = pd.NA
        table = table.astype(dict.fromkeys("ijk", "Int64"))
    path = tmp_path_factory.mktemp("voxels") / "new" / "voxels.tsv"
    save_voxel_table(table, path)
    pd.testing.assert_frame_equal(read_voxel_table(path, 12), table)
    assert [file.name for file in path.parent.iterdir()] == ["voxels.tsv"]


def test_names_keep_their_quotation_marks(tmp_path):
    table = table_of({'"V1"': [0], 'area "x': [1], "'": [1]}, 3)
    save_voxel_table(table, tmp_path / "voxels.tsv")
    pd.testing.assert_frame_equal(read_voxel_table(tmp_path / "voxels.tsv", 3), table)


def test_a_users_table_needs_only_the_voxels_that_are_in_rois(tmp_path):
    path = written(tmp_path, "rois\tvoxel\tnote\nV1; AC;\t3\tx\n\t1\tx\nNA\t0\tx\n")
    table = read_voxel_table(path, 5)
    assert table["voxel"].tolist() == [0, 1, 2, 3, 4]
    # "NA" is a name (nucleus accumbens), not a missing one.
    assert table["rois"].tolist() == ["NA", "", "", "AC;V1", ""]
    assert table[["i", "j", "k"]].isna().all(axis=None)
    assert table.dtypes.astype(str).tolist()[:4] == ["int64", "Int64", "Int64", "Int64"]


@pytest.mark.parametrize(
    "text",
    [
        "voxel\ti\trois\n1\t7\tAC;V1\n0\tn/a\tn/a\n",
        "\ufeffvoxel\ti\trois\r\n1\t7.0\tV1;AC\r\n0\t\t\r\n",  # as spreadsheets and pandas write it
        '"voxel"\t"i"\t"rois"\n1\t7\t"V1;AC"\n\n0\tn/a\t""\n',  # as R writes it
        "voxel\ti\trois\n 1 \t7\tV1 ; AC; V1\n0\n",
    ],
)
def test_tables_of_other_programs_are_understood(tmp_path, text):
    table = read_voxel_table(written(tmp_path, text), 2)
    assert table["rois"].tolist() == ["", "AC;V1"]
    assert table["i"].isna().tolist() == [True, False]
    assert table["i"][1] == 7
    assert table["j"].isna().all()


def test_a_table_without_rows_has_no_rois(tmp_path):
    table = read_voxel_table(written(tmp_path, "voxel\trois\n"), 2)
    assert table["rois"].tolist() == ["", ""]
    assert rois_of(table) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("voxel\troi\n0\tV1\n", r"has no column 'rois', but 'voxel', 'roi'"),
        ("voxel,rois\n0,V1\n", r"has no column 'voxel', but 'voxel,rois'.*tabs"),
        ("", "has no column 'voxel', but none at all"),
        ("voxel\trois\n0\tV1\n0\tAC\n", "line 3: voxel 0 is listed twice"),
        ("voxel\trois\n0\t\n0\tAC\n", "line 3: voxel 0 is listed twice"),
        ("voxel\trois\n1234\tV1\n", "line 2: there is no voxel 1,234.*4 columns, counted from 0"),
        ("voxel\trois\n4\tV1\n", "line 2: there is no voxel 4,"),
        ("voxel\trois\n-1\tV1\n", "line 2: '-1' in column voxel is no index"),
        ("voxel\trois\n1.5\tV1\n", "line 2: '1.5' in column voxel is no index"),
        ("voxel\trois\n\tV1\n", "line 2: '' in column voxel is no index"),
        ("voxel\tj\trois\n1\tx\tV1\n", "line 2: 'x' in column j is no index"),
        ("voxel\tx\ty\tz\trois\n1\t1\tfar\t3\tV1\n", "line 2: 'far' in column y is no number of mm"),
        (
            "voxel\themisphere\tvertex\trois\n1\tleft\t3\tV1\n",
            "line 2: 'left' in column hemisphere is no .*L or R",
        ),
        ("voxel\themisphere\tvertex\trois\n1\tL\t3.5\tV1\n", "line 2: '3.5' in column vertex is no index"),
        ("voxel\trois\n1\tV1\tV2\n", "line 2 has more fields than the header: separate ROIs by ';'"),
        ("voxel\trois\n1\tno roi\n", "line 2 has an ROI called 'no roi': rename it"),
        ('voxel\trois\n1\t"V1\n', "cannot be read as a voxel table"),
        (b"voxel\trois\n1\t\xff\n", "cannot be read as a voxel table.*UTF-8"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_a_sentence(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        read_voxel_table(path, 4)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="absent.tsv does not exist"):
        read_voxel_table(tmp_path / "absent.tsv", 4)
    with pytest.raises(InputError, match="cannot be read as a voxel table"):
        read_voxel_table(tmp_path, 4)


# Summaries over ROIs


@pytest.mark.filterwarnings("error")
def test_summary_by_hand():
    table = table_of({"b": [0, 1, 2], "a": [2], "c": [3]}, 5)
    correlation = np.array([1, 2, 6, np.nan, np.inf], np.float32)
    summary = roi_summary(table, {"correlation": correlation, "gain": np.arange(5)}).set_index("roi")
    assert summary.index.tolist() == ["a", "b", "c", "all voxels"]
    assert summary["n_voxels"].tolist() == [1, 3, 1, 5]
    assert summary["correlation_n_finite"].tolist() == [1, 3, 0, 3]
    np.testing.assert_allclose(summary["correlation_mean"], [6, 3, np.nan, 3])
    np.testing.assert_allclose(summary["correlation_sd"], [np.nan, np.sqrt(7), np.nan, np.sqrt(7)])
    np.testing.assert_allclose(summary["correlation_median"], [6, 2, np.nan, 2])
    np.testing.assert_allclose(summary["gain_mean"], [2, 1, 3, 2])
    assert summary["gain_n_finite"].tolist() == [1, 3, 1, 5]


def test_without_rois_and_quantities_the_summary_counts_voxels():
    assert roi_summary(table_of({}, 3), {}).to_dict("records") == [{"roi": "all voxels", "n_voxels": 3}]


@pytest.mark.parametrize("n_values", [2, 4])
def test_values_of_other_voxels_are_refused(n_values):
    table = table_of({"a": [0]}, 3)
    with pytest.raises(InputError, match=f"'r' has {n_values} values, but the voxel table has 3 voxels"):
        roi_summary(table, {"r": np.zeros(n_values)})
    with pytest.raises(InputError, match=f"decoder has {n_values} values"):
        latent_roi_weights(table, np.zeros((2, n_values), np.float32), [0])


# Decoder weights over ROIs


def slow_weights(table: pd.DataFrame, decoder: np.ndarray, latents: list[int]) -> pd.DataFrame:
    rows = []
    everything = list(range(len(table)))
    rois = {name: members.tolist() for name, members in rois_of(table).items()}
    rois["no roi"] = [voxel for voxel in everything if table["rois"][voxel] == ""]
    rois["all voxels"] = everything
    for latent in latents:
        total = sum(float(w) ** 2 for w in decoder[latent] if not np.isnan(w))
        for roi, members in rois.items():
            w = [float(decoder[latent, voxel]) for voxel in members if not np.isnan(decoder[latent, voxel])]
            n, square = len(w), sum(weight**2 for weight in w)
            rows.append(
                {
                    "latent": latent,
                    "roi": roi,
                    "n_voxels": n,
                    "mean_weight": sum(w) / n if n else np.nan,
                    "mean_absolute_weight": sum(map(abs, w)) / n if n else np.nan,
                    "rms_weight": (square / n) ** 0.5 if n else np.nan,
                    "energy_share": square / total if total else np.nan,
                }
            )
    return pd.DataFrame(rows)


@EXAMPLES
@given(rois=areas(), seed=st.integers(0, 1000), latents=st.lists(st.integers(0, 69), min_size=1, max_size=70))
def test_weights_over_rois_match_the_slow_reference(rois, seed, latents):
    random = np.random.default_rng(seed)
    decoder = random.standard_normal((70, 12), dtype=np.float32)
    decoder[random.random((70, 12)) < 0.2] = np.nan
    decoder[::7] = 0
    decoder[::11] = np.nan
    before = decoder.copy()
    table = table_of(rois, 12)
    expected = slow_weights(table, decoder, latents)
    actual = latent_roi_weights(table, decoder, latents)
    pd.testing.assert_frame_equal(actual, expected, rtol=1e-12, check_dtype=False)
    np.testing.assert_array_equal(decoder, before)


@pytest.mark.filterwarnings("error")
def test_weights_by_hand():
    table = table_of({"a": [0, 1], "b": [1, 2]}, 4)
    decoder = np.array([[3, -1, np.nan, 2], [0, 0, 0, 0], [np.nan] * 4], np.float32)
    weights = latent_roi_weights(table, decoder, [0, 1, 2]).set_index(["latent", "roi"])
    assert weights.loc[0].index.tolist() == ["a", "b", "no roi", "all voxels"]
    assert weights["n_voxels"].tolist() == [2, 1, 1, 3, 2, 2, 1, 4, 0, 0, 0, 0]
    np.testing.assert_allclose(weights.loc[0, "mean_weight"], [1, -1, 2, 4 / 3])
    np.testing.assert_allclose(weights.loc[0, "mean_absolute_weight"], [2, 1, 2, 2])
    np.testing.assert_allclose(weights.loc[0, "rms_weight"], [np.sqrt(5), 1, 2, np.sqrt(14 / 3)])
    np.testing.assert_allclose(weights.loc[0, "energy_share"], [10 / 14, 1 / 14, 4 / 14, 1])
    assert (weights.loc[1, "rms_weight"] == 0).all()
    assert weights.loc[[1, 2], "energy_share"].isna().all()
    assert weights.loc[2, "mean_weight"].isna().all()


def test_energy_shares_of_disjoint_rois_add_up_to_one():
    table = table_of({"a": range(0, 30), "b": range(30, 50)}, 80)
    decoder = np.random.default_rng(3).standard_normal((40, 80), dtype=np.float32)
    weights = latent_roi_weights(table, decoder, range(40))
    parts = weights[weights["roi"] != "all voxels"].groupby("latent")["energy_share"].sum()
    np.testing.assert_allclose(parts, 1, rtol=1e-12)


def test_latents_are_rows_of_the_decoder_in_any_order_and_memory_layout():
    table = table_of({"a": [0, 3]}, 5)
    decoder = np.random.default_rng(4).standard_normal((9, 5), dtype=np.float32)
    everything = latent_roi_weights(table, decoder, range(9))
    some = latent_roi_weights(table, np.asfortranarray(decoder), [7, 2])
    expected = pd.concat([everything[everything["latent"] == latent] for latent in (7, 2)])
    pd.testing.assert_frame_equal(some, expected.reset_index(drop=True))
    assert latent_roi_weights(table, decoder, []).columns.equals(everything.columns)


@pytest.mark.parametrize("latent", [-1, 2])
def test_a_latent_that_the_decoder_lacks_is_an_error(latent):
    with pytest.raises(ValueError, match=f"{latent}"):
        latent_roi_weights(table_of({}, 3), np.zeros((2, 3), np.float32), [0, latent])


def test_sums_of_many_small_weights_are_exact():
    n_voxels = 100_000
    decoder = np.full((1, n_voxels), np.float32(0.1))
    weights = latent_roi_weights(table_of({}, n_voxels), decoder, [0])
    np.testing.assert_allclose(weights["mean_weight"], float(np.float32(0.1)), rtol=1e-11)


def test_no_copy_of_the_whole_decoder():
    table = table_of({"a": range(0, 500), "b": range(300, 900)}, 1000)
    decoder = np.random.default_rng(5).standard_normal((4000, 1000), dtype=np.float32)
    tracemalloc.start()
    try:
        latent_roi_weights(table, decoder, range(4000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoder.nbytes == 16e6
    assert peak < 8e6


def test_voxels_that_nothing_is_known_of_have_no_place_and_no_roi():
    table = unnamed_voxels(3)
    assert table["voxel"].tolist() == [0, 1, 2]
    assert table[["i", "j", "k"]].isna().all().all()
    assert rois_of(table) == {}
    assert table.dtypes.to_dict() == voxel_table(np.ones((1, 1, 3), bool), {}).dtypes.to_dict()


# Places in mm, and on a surface


def test_places_in_mm_are_those_of_the_affine(tmp_path):
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.4
    affine = np.array([[-2.0, 0.1, 0, 30], [0, 2.5, 0.2, -40.5], [0.3, 0, 3, 7], [0, 0, 0, 1]])
    table = voxel_table(mask, {"V1": np.array([1])}, affine)
    assert table.columns.tolist() == ["voxel", "i", "j", "k", "x", "y", "z", "rois"]
    for row in table.itertuples():
        assert [row.x, row.y, row.z, 1] == pytest.approx((affine @ [row.i, row.j, row.k, 1]).tolist())
    save_voxel_table(table, tmp_path / "voxels.tsv")
    pd.testing.assert_frame_equal(read_voxel_table(tmp_path / "voxels.tsv", len(table)), table)
    pd.testing.assert_frame_equal(
        table.drop(columns=["x", "y", "z"]), voxel_table(mask, {"V1": np.array([1])})
    )


def test_vertices_stand_left_then_right(tmp_path):
    table = voxel_table(np.ones((2, 3), bool), {"V1": np.array([0, 4])})
    assert table.columns.tolist() == ["voxel", "hemisphere", "vertex", "rois"]
    assert table["hemisphere"].tolist() == ["L"] * 3 + ["R"] * 3
    assert table["vertex"].tolist() == [0, 1, 2, 0, 1, 2]
    assert table["rois"].tolist() == ["V1", "", "", "", "V1", ""]
    save_voxel_table(table, tmp_path / "voxels.tsv")
    assert (tmp_path / "voxels.tsv").read_text().startswith("voxel\themisphere\tvertex\trois\n0\tL\t0\tV1\n")
    pd.testing.assert_frame_equal(read_voxel_table(tmp_path / "voxels.tsv", 6), table)


def test_a_vertex_that_is_not_listed_has_no_place(tmp_path):
    table = read_voxel_table(written(tmp_path, "voxel\themisphere\tvertex\trois\n1\tR\t7\tV1\n"), 3)
    assert table["hemisphere"].tolist() == ["", "R", ""] and table["vertex"].isna().tolist() == [
        True,
        False,
        True,
    ]


def test_a_volumes_table_may_name_hemispheres_too(tmp_path):
    table = read_voxel_table(
        written(tmp_path, "voxel\ti\tj\tk\themisphere\tvertex\trois\n0\t4\t5\t6\tleft\t?\tV1\n"), 1
    )
    assert table.columns.tolist() == ["voxel", "i", "j", "k", "rois"] and table["k"].tolist() == [6]
