"""Flatmaps of data on fsaverage: closed forms, anatomy, and areas that were planted."""

from dataclasses import fields

import numpy as np
import pytest
from matplotlib.figure import Figure
from nilearn.datasets import fetch_surf_fsaverage
from nilearn.surface import load_surf_mesh
from PIL import Image
from scipy import sparse

from brainlm.cortex.flat_mesh import pixels_of_vertices, side_by_side
from brainlm.cortex.flatmap import LARGEST, area_label, draw_flatmap, landmarks
from brainlm.cortex.fsaverage import fsaverage_cortex, read_depths, read_hemispheres
from brainlm.cortex.hemispheres import voxel_sides
from brainlm.cortex.icosphere import edges_of, subdivide
from brainlm.cortex.outlines import inside
from brainlm.cortex.small_flatmaps import small_canvas, small_flatmaps
from brainlm.cortex.subject import Cortex, flatmap_image, load_cortex, save_cortex
from brainlm.cortex.voxels import voxel_table
from brainlm.errors import InputError
from brainlm.report.brain import DecoderPanel, draw_decoders, draw_voxels
from tests.cortex.annot_files import write_labels

HEIGHT = 160
N = 10_242
PLANTED = {"superiortemporal": (-60, -20, 2), "precentral": (-42, -10, 52), "pericalcarine": (-10, -84, 4)}
"""Area -> its middle in the left hemisphere, mm; in the right one it is mirrored."""


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    """(voxel, xyz) mm of fsaverage5's vertices, half way between white matter and pial surface."""
    return np.mean(read_depths(), axis=0)


def planted(places: np.ndarray) -> dict[str, np.ndarray]:
    """Area -> (voxel,) bool: within 14 mm of its middle, whose side is that of the vertex."""
    left = np.arange(len(places)) < len(places) // 2
    return {
        name: np.linalg.norm(
            places - np.where(left[:, None], middle, np.multiply(middle, (-1, 1, 1))), axis=1
        )
        < 14
        for name, middle in PLANTED.items()
    }


@pytest.fixture(scope="module")
def annots(places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("label")
    labels = np.zeros(2 * N, int)
    for number, members in enumerate(planted(places).values(), 1):
        labels[members] = number
    return {
        side: write_labels(folder / f"{side}.aparc.annot", of, ["unknown", *PLANTED])
        for side, of in zip(("lh", "rh"), np.split(labels, 2), strict=True)
    }


@pytest.fixture(scope="module")
def cortex(annots) -> Cortex:
    return fsaverage_cortex("fsaverage5", annots, HEIGHT)


@pytest.fixture(scope="module")
def fine() -> Cortex:
    return fsaverage_cortex("fsaverage6", {}, HEIGHT)


def shown(cortex: Cortex) -> np.ndarray:
    """(pixel on the cortex,) places of pixels."""
    return np.flatnonzero(cortex.on_cortex)


# The map


@pytest.mark.parametrize(("space", "n_vertices"), [("fsaverage5", 10_242), ("fsaverage6", 40_962)])
def test_each_pixel_on_the_cortex_is_a_mean_of_vertices(space, n_vertices, cortex, fine):
    of_space = cortex if space == "fsaverage5" else fine
    assert of_space.mask.shape == (2, n_vertices) and of_space.mask.all()
    assert of_space.n_voxels == 2 * n_vertices and of_space.image_shape[0] == HEIGHT
    matrix = of_space.pixel_of_voxel
    assert matrix.dtype == np.float32 and matrix.data.min() > 0
    np.testing.assert_allclose(matrix[shown(of_space)].sum(axis=1).A1, 1, atol=1e-6)
    assert matrix[np.flatnonzero(~of_space.on_cortex)].nnz == 0
    assert 0.5 < of_space.on_cortex.mean() < 0.8
    assert np.array_equal(np.isfinite(of_space.curvature), of_space.on_cortex)


def test_a_linear_function_of_the_flat_position_is_reproduced(cortex, fine):
    row, column = np.divmod(shown(cortex), cortex.image_shape[1])
    for space, of_space in (("fsaverage5", cortex), ("fsaverage6", fine)):
        mesh, image_shape = side_by_side(*(of.flat_mesh for of in read_hemispheres(space)), HEIGHT)
        assert image_shape == of_space.image_shape
        values = 7 - 0.25 * mesh.position[:, 0] + 3 * mesh.position[:, 1]
        image = flatmap_image(of_space, values)
        np.testing.assert_allclose(image[cortex.on_cortex], 7 - 0.25 * column + 3 * row, atol=1e-3)


def test_one_vertex_is_seen_near_its_place_alone(cortex):
    mesh, _ = side_by_side(*(of.flat_mesh for of in read_hemispheres("fsaverage5")), HEIGHT)
    edges = edges_of(mesh.triangles)
    lengths = np.linalg.norm(np.diff(mesh.position[edges], axis=1)[:, 0], axis=1)
    # Some lie between pixels.
    seen = np.unique(cortex.pixel_of_voxel.indices)
    for vertex in seen[[100, 3000, -3000, -100]]:
        image = flatmap_image(cortex, np.eye(1, 2 * N, vertex)[0])
        row, column = np.nonzero(np.nan_to_num(image))
        assert row.size
        distance = np.hypot(column - mesh.position[vertex, 0], row - mesh.position[vertex, 1])
        assert distance.max() <= lengths[(edges == vertex).any(axis=1)].max()


def test_left_data_stay_left(cortex, fine):
    for of_space in (cortex, fine):
        left = np.arange(of_space.n_voxels) < of_space.n_voxels // 2
        image = flatmap_image(of_space, left.astype(float))
        empty = np.flatnonzero(~of_space.on_cortex.any(axis=0))
        assert empty.size and 0.4 < empty.mean() / of_space.image_shape[1] < 0.6
        assert (image[:, : empty[0]][of_space.on_cortex[:, : empty[0]]] == 1).all()
        assert (image[:, empty[-1] :][of_space.on_cortex[:, empty[-1] :]] == 0).all()
        np.testing.assert_array_equal(voxel_sides(of_space), np.where(left, "L", "R"))


def test_the_brain_lies_as_in_pycortex(cortex, places):
    """Top up, and the occipital poles towards the middle."""
    row, column = np.divmod(shown(cortex), cortex.image_shape[1])
    x, y, z = (flatmap_image(cortex, of_axis)[cortex.on_cortex] for of_axis in places.T)
    assert np.corrcoef(row, z)[0, 1] < -0.5
    for side, sign in ((x < 0, 1), (x > 0, -1)):
        assert np.corrcoef(column[side], -sign * y[side])[0, 1] > 0.9


def test_curvature_is_above_zero_on_gyri(cortex):
    """There a vertex stands out from the mean of its neighbours."""
    for side, of_side in zip(("left", "right"), read_hemispheres("fsaverage5"), strict=True):
        white = load_surf_mesh(fetch_surf_fsaverage("fsaverage5")[f"white_{side}"]).coordinates
        edges = edges_of(of_side.triangles)
        ones = np.ones(len(edges))
        beside = sparse.coo_matrix((ones, edges.T), (N, N))
        beside = beside + beside.T
        stands_out = white - (beside @ white) / beside.sum(axis=1).A
        a, b, c = white[of_side.triangles].transpose(1, 0, 2)
        normals = np.zeros((N, 3))
        for corner in of_side.triangles.T:
            np.add.at(normals, corner, np.cross(b - a, c - a))
        convex = (stands_out * normals).sum(axis=1)
        known = np.isin(np.arange(N), of_side.triangles[of_side.is_flat])
        # Outwards: the normals of a closed surface point away from its middle.
        assert np.sum(normals * (white - white.mean(axis=0))) > 0
        assert np.mean((convex > 0)[known] == (of_side.curvature > 0)[known]) > 0.8
    assert 0.3 < np.mean(cortex.curvature[cortex.on_cortex] > 0) < 0.7


def test_fsaverage6_is_drawn_on_the_surface_of_fsaverage5(cortex, fine):
    np.testing.assert_array_equal(fine.on_cortex, cortex.on_cortex)
    np.testing.assert_allclose(fine.curvature[fine.on_cortex], cortex.curvature[cortex.on_cortex], atol=1e-5)
    # A map that is linear in each of fsaverage5's triangles is the same on both.
    parents, _ = subdivide(read_hemispheres("fsaverage5")[0].triangles)
    values = np.random.default_rng(0).standard_normal((2, N))
    finer = np.concatenate([values, values[:, parents].mean(axis=2)], axis=1)
    expected = flatmap_image(cortex, values.ravel())
    np.testing.assert_allclose(flatmap_image(fine, finer.ravel()), expected, atol=1e-4)
    # Of its own vertices, nearly each is seen.
    larger = pixels_of_vertices(*side_by_side(*(of.flat_mesh for of in read_hemispheres("fsaverage6")), 512))
    flat = np.concatenate([of.flat_mesh.is_shown for of in read_hemispheres("fsaverage6")])
    assert np.isin(np.flatnonzero(flat), larger.indices).mean() > 0.999


def test_vertices_without_a_value_are_left_out(cortex):
    values = np.ones(2 * N)
    values[::3] = np.nan
    image = flatmap_image(cortex, values)
    np.testing.assert_allclose(image[np.isfinite(image)], 1, rtol=1e-6)
    assert np.isfinite(image[cortex.on_cortex]).mean() > 0.9
    with pytest.raises(InputError, match="has 20,483 voxels, .* has 20,484"):
        flatmap_image(cortex, values[1:])


# Areas


def test_planted_areas_are_found_again(cortex, places):
    assert list(cortex.voxel_rois) == list(PLANTED)
    for name, members in planted(places).items():
        np.testing.assert_array_equal(cortex.voxel_rois[name], np.flatnonzero(members))
        image = np.nan_to_num(flatmap_image(cortex, members.astype(float)))
        y, x = np.nonzero(cortex.on_cortex)
        within = np.zeros(cortex.image_shape, bool)
        for outline in cortex.roi_outlines[name]:
            within[y, x] |= inside(outline, np.column_stack([x, y]).astype(float))
        assert image[within].mean() > 0.8 and image[~within].mean() < 0.02
    table = voxel_table(cortex.mask, cortex.voxel_rois)
    assert table.columns.tolist() == ["voxel", "hemisphere", "vertex", "rois"]
    assert table["rois"][np.flatnonzero(planted(places)["precentral"])].eq("precentral").all()


def test_areas_are_outlined_and_named_in_both_hemispheres(cortex):
    middle = cortex.image_shape[1] / 2
    for name in PLANTED:
        sides = [x < middle for x, _ in cortex.roi_labels[name]]
        assert True in sides and False in sides
        for outline, label in zip(cortex.roi_outlines[name], cortex.roi_labels[name], strict=True):
            assert inside(outline, np.array([label])).all()


def test_landmarks_have_short_labels_and_other_atlases_their_largest_areas(cortex):
    assert set(landmarks(cortex)) == set(PLANTED)
    assert area_label("superiortemporal") == "STG" and area_label("V1") == "V1"
    assert area_label("7Networks_LH_Vis_1") == "7Networ…"
    names = [f"area {number}" for number in range(LARGEST + 5)]
    other = Cortex(
        cortex.mask,
        cortex.pixel_of_voxel,
        cortex.on_cortex,
        cortex.curvature,
        {name: [] for name in names},
        {name: [] for name in names},
        {name: np.arange(size) for size, name in enumerate(names)},
    )
    assert landmarks(other) == names[: -LARGEST - 1 : -1]


# What is made of it


def test_a_store_keeps_it_as_it_is(cortex, tmp_path):
    save_cortex(cortex, tmp_path / "cortex.zarr")
    loaded = load_cortex(tmp_path / "cortex.zarr")
    assert (loaded.pixel_of_voxel != cortex.pixel_of_voxel).nnz == 0
    for field in {field.name for field in fields(Cortex)} - {"pixel_of_voxel"}:
        np.testing.assert_equal(getattr(loaded, field), getattr(cortex, field))


def test_figures_and_the_browsers_maps_are_drawn(cortex, places):
    weights = np.where(planted(places)["superiortemporal"], 1.0, 0.0).astype(np.float32)
    weights[: N // 2] = np.nan
    figure, numbers = draw_decoders(cortex, [DecoderPanel("latent 1", weights)], colormap="RdBu_r")
    assert len(numbers) == 2 * N
    figure.canvas.draw()
    figure, _ = draw_voxels(
        cortex, weights, quantity="test correlation", based_on="9 TRs", colormap="inferno"
    )
    figure.canvas.draw()
    canvas = small_canvas(cortex, 128)
    (small,) = small_flatmaps(canvas, weights[:, None], "RdBu_r")
    assert small.limit == 1 and canvas.outlines.any() and small.png.startswith(b"\x89PNG")


def test_a_planted_map_is_red_in_its_area_alone(cortex, places):
    weights = np.where(planted(places)["superiortemporal"] & (np.arange(2 * N) < N), 1.0, 0.0)
    drawn = draw_flatmap(Figure().subplots(), cortex, weights, colormap="RdBu_r", vmin=-1, vmax=1, rois=[])
    colours = np.asarray(drawn.get_array())
    red = (colours[..., 0] - colours[..., 2] > 0.3) & cortex.on_cortex
    assert red.any() and np.nonzero(red)[1].max() < cortex.image_shape[1] / 2
    np.testing.assert_array_equal(colours[..., 3], cortex.on_cortex)
    assert Image.fromarray((255 * colours).astype(np.uint8)).size == cortex.image_shape[::-1]
