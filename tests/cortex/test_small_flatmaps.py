"""Small flatmaps show the values that the figures show, in colours that are symmetric about 0."""

import io

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from scipy import sparse

from brainlm.cortex.flatmap import draw_flatmap, symmetric_limit
from brainlm.cortex.small_flatmaps import Canvas, SmallFlatmap, project, small_canvas, small_flatmaps
from brainlm.cortex.subject import Cortex, flatmap_image
from brainlm.errors import InputError

HEIGHT, WIDTH, N_VOXELS = 24, 60, 90
COLORMAP = "RdBu_r"


def make_cortex() -> Cortex:
    """Two discs, each pixel of one to four voxels; a square area in the left one, and one beyond the cortex."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    on_cortex = np.minimum(np.hypot(y - 11.5, x - 15), np.hypot(y - 11.5, x - 44)) < 11
    shares = np.zeros((on_cortex.size, N_VOXELS), np.float32)
    for pixel in np.flatnonzero(on_cortex):
        voxels = random.choice(N_VOXELS, random.integers(1, 5), replace=False)
        shares[pixel, voxels] = random.dirichlet(np.ones(voxels.size))
    square = np.array([[10, 6], [20, 6], [20, 16], [10, 16], [10, 6]], np.float32)
    return Cortex(
        mask=np.ones((1, 1, N_VOXELS), bool),
        pixel_of_voxel=sparse.csr_matrix(shares),
        on_cortex=on_cortex,
        curvature=np.where(on_cortex, np.sin(x / 3.0), np.nan).astype(np.float32),
        roi_outlines={"V1": [square], "AC": [square - [12, 0]]},
        roi_labels={"V1": [(15.0, 11.0)], "AC": [(3.0, 11.0)]},
        voxel_rois={},
    )


CORTEX = make_cortex()


@pytest.fixture
def canvas() -> Canvas:
    """As large as the cortex's own flatmap, without areas."""
    return small_canvas(CORTEX, WIDTH, rois=[])


@pytest.fixture
def maps() -> np.ndarray:
    """Three maps without and three with gaps, which differ from map to map."""
    random = np.random.default_rng(1)
    maps = random.standard_normal((N_VOXELS, 6)).astype(np.float32) * [1, 1e-6, 1e6, 1, 1, 1]
    maps[:, 3:][random.random((N_VOXELS, 3)) < [0.2, 0.5, 0.9]] = np.nan
    return maps.astype(np.float32)


def drawn(canvas: Canvas, maps: np.ndarray, colormap=COLORMAP) -> list[SmallFlatmap]:
    return list(small_flatmaps(canvas, maps, colormap))


def places(flatmap: SmallFlatmap) -> np.ndarray:
    """(height, width) places in the palette."""
    return np.array(Image.open(io.BytesIO(flatmap.png))).astype(int)


def colours(flatmap: SmallFlatmap) -> np.ndarray:
    """(height, width, RGBA) from 0 to 1."""
    return np.array(Image.open(io.BytesIO(flatmap.png)).convert("RGBA")) / 255


def neutral_place(canvas: Canvas) -> int:
    (zero,) = drawn(canvas, np.zeros((N_VOXELS, 1)))
    (place,) = np.unique(places(zero)[canvas.on_cortex & ~canvas.outlines])
    return int(place)


def test_pixels_have_the_values_of_the_figures(canvas, maps):
    np.testing.assert_array_equal(canvas.on_cortex, CORTEX.on_cortex)
    for values, of_map in zip(project(canvas.pixel_of_voxel, maps).T, maps.T, strict=True):
        expected = flatmap_image(CORTEX, of_map)[CORTEX.on_cortex]
        # Sums in float32, of the same products in another order.
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6 * np.nanmax(np.abs(of_map)))


@given(st.data())
def test_missing_voxels_are_left_out_of_the_mean_whatever_they_have_in_common(data):
    n_maps = data.draw(st.integers(1, 4))
    cells = st.sampled_from([np.nan, -2.0, 0.0, 0.5, 3.0])
    maps = np.array(
        data.draw(st.lists(st.lists(cells, min_size=n_maps, max_size=n_maps), min_size=3, max_size=3))
    )
    shares = np.array([[0.5, 0.5, 0], [0, 1, 0], [0.25, 0.25, 0.5]], np.float32)
    found = project(sparse.csr_matrix(shares), maps.astype(np.float32))
    for pixel, share in enumerate(shares):
        for number, of_map in enumerate(maps.T):
            known = (share > 0) & ~np.isnan(of_map)
            expected = np.average(of_map[known], weights=share[known]) if known.any() else np.nan
            assert found[pixel, number] == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("width", [WIDTH // 2, 47, WIDTH, 2 * WIDTH + 1])
def test_a_pixel_of_another_size_is_the_mean_of_what_it_covers(maps, width):
    canvas = small_canvas(CORTEX, width, rois=[])
    height = round(HEIGHT * width / WIDTH)
    assert canvas.on_cortex.shape == canvas.folds.shape == canvas.outlines.shape == (height, width)
    own = flatmap_image(CORTEX, maps[:, 0])
    found = np.full((height, width), np.nan)
    found[canvas.on_cortex] = project(canvas.pixel_of_voxel, maps)[:, 0]
    for row in range(height):
        rows = covered(row, HEIGHT / height, HEIGHT)
        for column in range(width):
            area = np.outer(rows, covered(column, WIDTH / width, WIDTH)) * CORTEX.on_cortex
            share = area.sum() * height * width / (HEIGHT * WIDTH)
            if abs(share - 0.5) > 1e-4:
                assert canvas.on_cortex[row, column] == (share > 0.5)
            if canvas.on_cortex[row, column]:
                expected = np.average(own[area > 0], weights=area[area > 0])
                assert found[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def covered(pixel: int, step: float, n_own: int) -> np.ndarray:
    """How much of each own pixel lies between the edges of another."""
    return np.array([max(0, min((pixel + 1) * step, i + 1) - max(pixel * step, i)) for i in range(n_own)])


def test_colours_are_those_of_the_figures(canvas, maps):
    table = matplotlib.colormaps[COLORMAP](np.linspace(0, 1, 127))
    # Half a step of the palette, and rounding to 255 levels.
    tolerance = np.abs(np.diff(table[:, :3], axis=0)).max() / 2 + 1 / 255
    for flatmap, of_map in zip(drawn(canvas, maps), maps.T, strict=True):
        limit = symmetric_limit(of_map)
        assert flatmap.limit == pytest.approx(limit)
        figure = draw_flatmap(
            Figure().subplots(), CORTEX, of_map, colormap=COLORMAP, vmin=-limit, vmax=limit, rois=[]
        )
        shown, expected = colours(flatmap), np.asarray(figure.get_array())
        np.testing.assert_allclose(shown[..., 3], expected[..., 3])
        np.testing.assert_allclose(
            shown[CORTEX.on_cortex], expected[CORTEX.on_cortex], atol=tolerance, rtol=0
        )


def test_zero_is_the_neutral_colour(canvas):
    (zero,) = drawn(canvas, np.zeros((N_VOXELS, 1)))
    assert zero.limit == 1
    neutral = matplotlib.colormaps[COLORMAP](0.5)
    np.testing.assert_allclose(
        colours(zero)[canvas.on_cortex], np.tile(neutral, (canvas.on_cortex.sum(), 1)), atol=2 / 255
    )


def test_the_other_sign_has_the_mirrored_colours(canvas, maps):
    neutral, known = neutral_place(canvas), canvas.on_cortex
    for one, other in zip(drawn(canvas, maps[:, :3]), drawn(canvas, -maps[:, :3]), strict=True):
        assert one.limit == other.limit
        np.testing.assert_array_equal(places(one)[known] - neutral, neutral - places(other)[known])
        assert np.ptp(places(one)[known]) > 50


def test_each_map_has_a_scale_of_its_own(canvas, maps):
    one, tiny = drawn(canvas, np.column_stack([maps[:, 0], 2.0**-30 * maps[:, 0]]))
    assert tiny.limit == pytest.approx(2.0**-30 * one.limit)
    assert tiny.png == one.png


def test_a_constant_map_is_the_last_colour(canvas):
    for value, place in ((3.0, 63), (-3.0, -63)):
        (flatmap,) = drawn(canvas, np.full((N_VOXELS, 1), value))
        assert flatmap.limit == 3
        assert set((places(flatmap) - neutral_place(canvas))[canvas.on_cortex]) == {place}


def test_the_limit_is_a_percentile_of_what_is_known():
    values = np.concatenate([np.linspace(-1, 1, 201), [np.nan, np.inf]])
    # Of 201 values from 0 to 1, each but 0 twice, the 198th is where 99 % lie below.
    assert symmetric_limit(values) == pytest.approx(0.99)
    values[200] = 1e9
    assert symmetric_limit(values) < 2
    assert symmetric_limit(np.zeros(5)) == 1 and np.isnan(symmetric_limit(np.full(5, np.nan)))


def test_where_nothing_is_known_there_are_folds(canvas, maps):
    gap = maps[:, :1].copy()
    gap[:] = np.nan
    (flatmap,) = drawn(canvas, gap)
    assert np.isnan(flatmap.limit)
    shown = colours(flatmap)
    gyri, sulci = CORTEX.curvature > 0, CORTEX.curvature <= 0
    np.testing.assert_allclose(shown[gyri, :3], 0.90, atol=2 / 255)
    np.testing.assert_allclose(shown[sulci, :3], 0.80, atol=2 / 255)
    np.testing.assert_array_equal(shown[..., 3], CORTEX.on_cortex)


def test_areas_are_outlined_on_the_cortex_alone(maps):
    canvas = small_canvas(CORTEX, 2 * WIDTH, rois=["V1", "AC", "none"])
    (flatmap,) = drawn(canvas, maps[:, :1])
    shown = colours(flatmap)
    black = (shown[..., :3] == 0).all(axis=-1) & (shown[..., 3] == 1)
    np.testing.assert_array_equal(black, canvas.outlines)
    assert not (canvas.outlines & ~canvas.on_cortex).any() and canvas.outlines.any()
    # The square's left edge at x 10 lies at (10 + 0.5) * 2 - 0.5 = 20.5, its top at 12.5.
    row, column = np.nonzero(canvas.outlines & (np.arange(2 * WIDTH) > 18))
    assert 20 <= column.min() <= 21 and 12 <= row.min() <= 13
    # Inside there is the map.
    assert not canvas.outlines[20:26, 26:36].any()
    (plain,) = drawn(small_canvas(CORTEX, 2 * WIDTH, rois=[]), maps[:, :1])
    differ = places(plain) != places(flatmap)
    assert not differ[~canvas.outlines].any()


def test_a_picture_takes_a_byte_a_pixel_at_most(canvas, maps):
    for flatmap in drawn(canvas, maps):
        picture = Image.open(io.BytesIO(flatmap.png))
        assert (picture.mode, picture.size, picture.format) == ("P", (WIDTH, HEIGHT), "PNG")
        assert len(flatmap.png) < HEIGHT * WIDTH + 3 * 256 + 200


def test_maps_come_in_order_however_many_there_are(canvas):
    random = np.random.default_rng(2)
    maps = random.standard_normal((N_VOXELS, 75)).astype(np.float32)
    many = drawn(canvas, maps)
    assert [flatmap.png for flatmap in many] == [drawn(canvas, maps[:, [i]])[0].png for i in range(75)]
    assert drawn(canvas, maps[:, :0]) == []


def test_maps_of_any_layout_and_precision(canvas, maps):
    expected = [flatmap.png for flatmap in drawn(canvas, maps)]
    for same in (np.asfortranarray(maps), maps.astype(float), maps[:, ::-1][:, ::-1]):
        assert [flatmap.png for flatmap in drawn(canvas, same)] == expected


@pytest.mark.parametrize("shape", [(N_VOXELS,), (N_VOXELS + 1, 2), (2, N_VOXELS)])
def test_maps_of_another_cortex_are_refused_before_anything_is_drawn(canvas, shape):
    with pytest.raises(InputError, match=r"\(voxel, map\) with 90 voxels"):
        small_flatmaps(canvas, np.zeros(shape), COLORMAP)
    with pytest.raises(InputError, match="'RdBu_q' is no colormap; did you mean 'RdBu"):
        small_flatmaps(canvas, np.zeros((N_VOXELS, 1)), "RdBu_q")


@pytest.mark.parametrize("width", [1, 3])
def test_however_small(maps, width):
    canvas = small_canvas(CORTEX, width)
    assert len(drawn(canvas, maps)) == 6
