"""Areas of annotation files, from those that were planted in them."""

import numpy as np
import pytest
from nibabel.freesurfer import write_annot

from brainlm.cortex.annotations import areas_of_vertices, is_area
from brainlm.errors import InputError
from tests.cortex.annot_files import write_labels

NAMES = ["unknown", "bankssts", "corpuscallosum", "superiortemporal"]


@pytest.fixture
def annots(tmp_path):
    random = np.random.default_rng(0)
    labels = {side: random.integers(-1, len(NAMES), 10_242) for side in ("lh", "rh")}
    files = {side: write_labels(tmp_path / f"{side}.aparc.annot", of, NAMES) for side, of in labels.items()}
    return labels, files


def test_areas_are_those_that_were_planted(annots):
    labels, files = annots
    areas = areas_of_vertices(files, 10_242)
    assert list(areas) == ["bankssts", "superiortemporal"]
    both = np.concatenate([labels["lh"], labels["rh"]])
    for name, members in areas.items():
        np.testing.assert_array_equal(members, np.flatnonzero(both == NAMES.index(name)))


def test_one_hemisphere_may_have_no_file(annots):
    labels, files = annots
    areas = areas_of_vertices({"rh": files["rh"]}, 10_242)
    np.testing.assert_array_equal(areas["bankssts"], 10_242 + np.flatnonzero(labels["rh"] == 1))
    assert areas_of_vertices({}, 10_242) == {}


def test_the_first_vertices_of_a_finer_mesh_are_those_of_the_data(tmp_path):
    labels = np.random.default_rng(1).integers(0, 4, 163_842)
    path = write_labels(tmp_path / "lh.aparc.annot", labels, NAMES)
    for n_vertices in (10_242, 40_962):
        areas = areas_of_vertices({"lh": path}, n_vertices)
        np.testing.assert_array_equal(areas["bankssts"], np.flatnonzero(labels[:n_vertices] == 1))


def test_a_colour_that_the_table_lacks_is_no_area(tmp_path):
    labels = np.where(np.arange(10_242) < 100, 1, 3)
    path = write_labels(tmp_path / "lh.annot", labels, NAMES)
    content = np.fromfile(path, ">i4")
    # Vertex and colour in turn, after their number.
    content[2:22:2] = 12_345_678
    content.tofile(path)
    assert areas_of_vertices({"lh": path}, 10_242)["bankssts"].tolist() == list(range(10, 100))


@pytest.mark.parametrize("n_in_file", [2_562, 10_000, 12_000])
def test_labels_of_another_mesh_are_refused(tmp_path, n_in_file):
    path = write_labels(tmp_path / "lh.aparc.annot", np.zeros(n_in_file), NAMES)
    with pytest.raises(InputError, match=rf"lh.aparc.annot has labels of {n_in_file:,} .* have 10,242"):
        areas_of_vertices({"lh": path}, 10_242)


@pytest.mark.parametrize(
    "damage", [lambda content: content[:5000], lambda content: b"", lambda content: b"text" * 900]
)
def test_a_damaged_file_is_named(annots, damage):
    path = annots[1]["lh"]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"lh\.aparc\.annot is damaged, or no annotation file") as error:
        areas_of_vertices(annots[1], 10_242)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="rh.aparc.annot does not exist"):
        areas_of_vertices({"rh": tmp_path / "rh.aparc.annot"}, 10_242)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("superiortemporal", True),
        ("G_and_S_frontomargin", True),
        ("7Networks_LH_Vis_1", True),
        ("L_V1_ROI", True),
        ("unknown", False),
        ("Unknown", False),
        ("???", False),
        ("corpuscallosum", False),
        ("Medial_wall", False),
        ("Background+FreeSurfer_Defined_Medial_Wall", False),
        ("", False),
    ],
)
def test_what_is_no_cortex_is_no_area(name, expected):
    assert is_area(name) is expected


def test_names_may_have_any_letters(tmp_path):
    colours = np.array([[10, 20, 30, 0, 0]], np.int32)
    write_annot(tmp_path / "lh.annot", np.zeros(10_242, int), colours, ["aire de Broca é"], fill_ctab=True)
    assert list(areas_of_vertices({"lh": tmp_path / "lh.annot"}, 10_242)) == ["aire de Broca é"]
