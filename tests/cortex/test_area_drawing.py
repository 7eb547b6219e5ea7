"""Lines around areas of voxels, each of which is a pixel."""

import numpy as np
from scipy import sparse

from brainlm.cortex.area_drawing import draw_areas, label_areas
from brainlm.cortex.outlines import inside

HEIGHT, WIDTH = 40, 60


def cortex() -> np.ndarray:
    """(height, width): two squares with a gap."""
    on_cortex = np.zeros((HEIGHT, WIDTH), bool)
    on_cortex[5:35, 3:27] = on_cortex[5:35, 33:57] = True
    return on_cortex


def drawn(*areas: np.ndarray) -> list[list[np.ndarray]]:
    """Outlines of areas, (height, width) bool each."""
    pixels = sparse.eye(HEIGHT * WIDTH, format="csr", dtype=np.float32)
    shown = sparse.diags(cortex().ravel().astype(np.float32)) @ pixels
    names = {f"area {number}": np.flatnonzero(area) for number, area in enumerate(areas)}
    found = draw_areas(sparse.csr_matrix(shown), cortex(), names)
    return [found.get(name, []) for name in names]


def filled(outlines: list[np.ndarray]) -> np.ndarray:
    """(height, width) bool: pixels inside."""
    y, x = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)
    within = [inside(outline, np.column_stack([x, y]).astype(float)) for outline in outlines]
    return np.any(within, axis=0).reshape(HEIGHT, WIDTH)


def box(rows: slice, columns: slice) -> np.ndarray:
    area = np.zeros((HEIGHT, WIDTH), bool)
    area[rows, columns] = True
    return area


def test_an_outline_holds_its_areas_pixels_and_no_others():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    areas = [box(slice(10, 20), slice(8, 15)), np.hypot(y - 20, x - 45) < 7]
    for area, outlines in zip(areas, drawn(*areas), strict=True):
        assert len(outlines) == 1 and outlines[0].dtype == np.float32
        np.testing.assert_array_equal(outlines[0][0], outlines[0][-1])
        np.testing.assert_array_equal(filled(outlines), area)


def test_the_edge_of_the_cortex_is_not_the_edge_of_an_area():
    (outline,) = drawn(box(slice(5, 20), slice(3, 27)))[0]
    on_cortex = cortex()
    column, row = outline.round().astype(int).T
    seen = outline[on_cortex[row, column]]
    # Of a square half of which is the area one line is seen, across the middle.
    assert seen.size and np.allclose(seen[:, 1], 19.5)
    np.testing.assert_array_equal(filled([outline]) & on_cortex, box(slice(5, 20), slice(3, 27)) & on_cortex)


def test_parts_in_both_hemispheres_have_an_outline_and_a_label_each():
    area = box(slice(5, 35), slice(20, 40)) & cortex()
    outlines = drawn(area)[0]
    assert len(outlines) == 2
    labels = label_areas({"a": outlines}, cortex())["a"]
    assert sorted(x < 30 for x, _ in labels) == [False, True]
    assert all(area[int(y), int(x)] for x, y in labels)


def test_specks_and_holes_are_not_drawn():
    area = box(slice(8, 30), slice(5, 25))
    area[15:17, 10:12] = False
    area[33, 50] = True
    (outline,) = drawn(area)[0]
    np.testing.assert_array_equal(filled([outline]), box(slice(8, 30), slice(5, 25)))


def test_an_area_that_is_nowhere_shown_has_no_outline():
    assert drawn(box(slice(0, 3), slice(0, 3)), box(slice(0, 0), slice(0, 0))) == [[], []]
