import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import zarr
from matplotlib.figure import Figure
from scipy import sparse

from brainlm.cortex.flatmap import draw_flatmap
from brainlm.cortex.geometry import pycortex_share
from brainlm.cortex.outlines import inside, label_position, read_outlines
from brainlm.cortex.subject import (
    Cortex,
    check_width,
    flatmap_image,
    load_cortex,
    read_cortex,
    read_mask,
    save_cortex,
)
from brainlm.errors import InputError
from brainlm.simulation.anatomy import write_simulated_anatomy

SUBJECT, TRANSFORM = "UTS03", "UTS03_auto"
VOXEL_MM, HEIGHT = 10.0, 128

PREPARE = f"""
import sys
from pathlib import Path
from brainlm.cortex.subject import read_cortex, save_cortex
from brainlm.simulation.anatomy import write_simulated_anatomy
folder = Path(sys.argv[1])
print(write_simulated_anatomy(folder / "db", "{SUBJECT}", {VOXEL_MM}))
cortex = read_cortex(folder / "db", "{SUBJECT}", "{TRANSFORM}", folder / "work", {HEIGHT})
save_cortex(cortex, folder / "cortex.zarr")
"""

PYCORTEX_IMAGE = f"""
import sys
import cortex, numpy as np
cortex.db.filestore = sys.argv[1]
volume = cortex.Volume(np.load(sys.argv[2]), "{SUBJECT}", "{TRANSFORM}", mask="thick")
np.save(sys.argv[3], cortex.quickflat.make_flatmap_image(volume, height={HEIGHT})[0])
"""


def run_script(script: str, home: Path, *arguments: Path) -> str:
    """Run a script as a user with an empty home folder and no settings would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    environment = kept | {"HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> tuple[Path, int]:
    """A folder with a simulated subject (db), its cortex (cortex.zarr), work and home; its voxel count."""
    folder = tmp_path_factory.mktemp("anatomy")
    (folder / "home").mkdir()
    return folder, int(run_script(PREPARE, folder / "home", folder))


@pytest.fixture(scope="session")
def cortex(prepared) -> Cortex:
    return load_cortex(prepared[0] / "cortex.zarr")


@pytest.fixture
def tiny() -> Cortex:
    """Three voxels on a flatmap of four pixels: half 0 and half 1; 1; 2; off cortex."""
    weights = np.array([[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32)
    on_cortex = np.array([[True, True], [True, False]])
    curvature = np.where(on_cortex, 0.1, np.nan).astype(np.float32)
    return Cortex(np.ones((1, 1, 3), bool), sparse.csr_matrix(weights), on_cortex, curvature, {}, {}, {})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def position_mm(cortex: Cortex, db: Path) -> np.ndarray:
    """(voxel, xyz) of the voxels on the subject's surface; x grows to the right."""
    matrices = json.loads((db / SUBJECT / "transforms" / TRANSFORM / "matrices.xfm").read_text())
    xyz = np.argwhere(cortex.mask)[:, ::-1]
    return nibabel.affines.apply_affine(np.linalg.inv(matrices["coord"]), xyz)


# The simulated subject


def test_simulated_subject_is_always_the_same(prepared, tmp_path):
    folder, n_voxels = prepared
    assert write_simulated_anatomy(tmp_path, SUBJECT, VOXEL_MM) == n_voxels
    assert contents(tmp_path) == {
        name: data for name, data in contents(folder / "db").items() if name.startswith(SUBJECT)
    }


def test_simulated_subject_replaces_nothing(prepared):
    with pytest.raises(InputError, match="UTS03 already exists"):
        write_simulated_anatomy(prepared[0] / "db", SUBJECT, VOXEL_MM)


def test_smaller_voxels_are_more(prepared, tmp_path):
    _, n_voxels = prepared
    ratio = write_simulated_anatomy(tmp_path, SUBJECT, VOXEL_MM / 2) / n_voxels
    assert ratio == pytest.approx(8, rel=0.1)


def test_volume_and_mask_are_stored_as_in_the_dataset(prepared, cortex):
    folder, n_voxels = prepared
    transform = folder / "db" / SUBJECT / "transforms" / TRANSFORM
    mask = nibabel.load(transform / "mask_thick.nii.gz")
    reference = nibabel.load(transform / "reference.nii.gz")
    assert np.array_equal(mask.get_fdata().T != 0, cortex.mask)
    assert mask.shape == reference.shape
    assert np.allclose(reference.header.get_zooms(), VOXEL_MM)
    assert cortex.mask.sum() == cortex.n_voxels == n_voxels


# Reading


def test_nothing_is_left_behind(prepared):
    folder, _ = prepared
    assert list((folder / "home").rglob("*")) == []
    assert list((folder / "work").rglob("*")) == []
    files = {Path(name).parts[1] for name in contents(folder / "db")}
    assert files == {"surfaces", "transforms", "overlays.svg"}


def test_surfaces_may_be_numpy_files(prepared, cortex, tmp_path):
    # Those of one subject of ds003020 are.
    shutil.copytree(prepared[0] / "db", tmp_path / "db")
    for gifti in (tmp_path / "db" / SUBJECT / "surfaces").glob("*.gii"):
        points, triangles = (array.data for array in nibabel.load(gifti).darrays)
        np.savez(gifti.with_suffix(".npz"), pts=points, polys=triangles)
        gifti.unlink()
    same = read_cortex(tmp_path / "db", SUBJECT, TRANSFORM, tmp_path / "work", HEIGHT)
    assert (same.pixel_of_voxel != cortex.pixel_of_voxel).nnz == 0
    assert np.array_equal(same.on_cortex, cortex.on_cortex)


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_damaged_mask_is_named(prepared, tmp_path, kept):
    content = (prepared[0] / "db" / SUBJECT / "transforms" / TRANSFORM / "mask_thick.nii.gz").read_bytes()
    path = tmp_path / "mask_thick.nii.gz"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"mask_thick\.nii\.gz is damaged.*download it again"):
        read_mask(path)
    path.write_text("no image")
    with pytest.raises(InputError, match="is damaged"):
        read_mask(path)


def test_subject_without_mask_and_areas(prepared, cortex, tmp_path):
    folder, _ = prepared
    shutil.copytree(folder / "db", tmp_path / "db")
    (tmp_path / "db" / SUBJECT / "overlays.svg").unlink()
    (tmp_path / "db" / SUBJECT / "transforms" / TRANSFORM / "mask_thick.nii.gz").unlink()
    plain = read_cortex(tmp_path / "db", SUBJECT, TRANSFORM, tmp_path / "work", HEIGHT)
    assert np.array_equal(plain.mask, cortex.mask)  # made by pycortex, the other one by the simulation
    assert (plain.pixel_of_voxel != cortex.pixel_of_voxel).nnz == 0
    assert plain.roi_outlines == plain.roi_labels == plain.voxel_rois == {}


def test_image_is_the_one_pycortex_draws(prepared, cortex, tmp_path):
    values = np.random.default_rng(0).standard_normal(cortex.n_voxels)
    values[::5] = np.nan
    np.save(tmp_path / "values.npy", values)
    shutil.copytree(prepared[0] / "db", tmp_path / "db")
    settings = tmp_path / ".config" / "pycortex" / "options.cfg"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[webgl]\ncolormaps = {pycortex_share() / 'colormaps'}\n")
    run_script(PYCORTEX_IMAGE, tmp_path, tmp_path / "db", tmp_path / "values.npy", tmp_path / "image.npy")
    expected = np.load(tmp_path / "image.npy")
    assert expected.shape == cortex.image_shape
    np.testing.assert_allclose(flatmap_image(cortex, values), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"no subject of this pycortex database, which has UTS01\."),
        (
            lambda s: shutil.rmtree(s / f"transforms/{TRANSFORM}"),
            r"no transform 'UTS03_auto', but has other\.",
        ),
        (
            lambda s: (s / f"transforms/{TRANSFORM}/reference.nii.gz").unlink(),
            "reference.nii.gz does not exist",
        ),
        (lambda s: (s / "surfaces/flat_rh.gii").unlink(), "flat_rh.gii does not exist"),
        (
            lambda s: (s / "surfaces/pia_lh.gii").write_text("/annex/objects/MD5E-s3--a.gii\n"),
            "pia_lh.gii has not been downloaded",
        ),
        (
            lambda s: (s / "overlays.svg").symlink_to("../.git/annex/objects/MD5E-s3--a.svg"),
            "overlays.svg has not been downloaded",
        ),
        (lambda s: None, r"pycortex cannot make the flatmap of subject UTS03 .*\("),
    ],
)
def test_what_is_missing_is_named(tmp_path, change, message):
    subject = tmp_path / "db" / SUBJECT
    for folder in (
        subject / "surfaces",
        subject / "transforms" / TRANSFORM,
        subject / "transforms" / "other",
        tmp_path / "db" / "UTS01",
    ):
        folder.mkdir(parents=True)
    for kind in ("flat", "pia", "wm"):
        for hemisphere in ("lh", "rh"):
            (subject / "surfaces" / f"{kind}_{hemisphere}.gii").write_text("broken")
    for name in ("matrices.xfm", "reference.nii.gz"):
        (subject / "transforms" / TRANSFORM / name).write_text("broken")
    change(subject)
    with pytest.raises(InputError, match=message) as error:
        read_cortex(tmp_path / "db", SUBJECT, TRANSFORM, tmp_path / "work")
    assert "\n" not in str(error.value)


# Projecting


def test_constant_map_gives_a_constant_image(cortex):
    image = flatmap_image(cortex, np.full(cortex.n_voxels, 3.0))
    assert np.isnan(image[~cortex.on_cortex]).all()
    shown = image[cortex.on_cortex]
    assert np.mean(~np.isnan(shown)) > 0.999
    np.testing.assert_allclose(shown[~np.isnan(shown)], 3, rtol=1e-6)


def test_each_hemisphere_has_its_half(cortex, prepared):
    x = position_mm(cortex, prepared[0] / "db")[:, 0]
    # A voxel at the midline has some of both hemispheres.
    image = flatmap_image(cortex, np.where(np.abs(x) > VOXEL_MM, x < 0, np.nan))
    width = image.shape[1]
    left, right = image[:, : int(0.45 * width)], image[:, int(0.55 * width) :]
    assert np.nanmin(left) == 1
    assert np.nanmax(right) == 0


def test_missing_voxels_are_left_out_of_the_mean(tiny):
    np.testing.assert_array_equal(flatmap_image(tiny, np.array([2.0, 4, 6])), [[3, 4], [6, np.nan]])
    np.testing.assert_array_equal(flatmap_image(tiny, np.array([2, np.nan, 6])), [[2, np.nan], [6, np.nan]])


def test_data_of_another_subject_is_refused(tiny):
    sentence = "The map to be drawn has 2 voxels, but the subject's cortical mask has 3"
    with pytest.raises(InputError, match=sentence):
        flatmap_image(tiny, np.zeros(2))
    with pytest.raises(InputError, match="run.hf5 has 95,556 voxels, .* mask has 3"):
        check_width(tiny.mask, 95_556, "run.hf5")
    check_width(tiny.mask, 3, "run.hf5")


def test_folds_of_the_cortex(cortex):
    assert np.array_equal(np.isfinite(cortex.curvature), cortex.on_cortex)
    assert 0.3 < np.mean(cortex.curvature[cortex.on_cortex] > 0) < 0.7


# Areas


def test_known_areas_are_outlined_in_both_hemispheres(cortex):
    for name in ("AC", "Broca", "IPS", "RSC", "OPA", "PPA", "FFA", "EBA", "V1"):
        left, right = sorted(x for x, _ in cortex.roi_labels[name])
        assert left < 0.49 * cortex.image_shape[1] < right
        for outline, label in zip(cortex.roi_outlines[name], cortex.roi_labels[name], strict=True):
            assert inside(outline, np.array([label])).all()


@pytest.mark.parametrize("area", ["AC", "IPS", "V1"])
def test_voxels_of_an_area_show_up_within_its_outline(cortex, area):
    members = np.isin(np.arange(cortex.n_voxels), cortex.voxel_rois[area])
    image = flatmap_image(cortex, members)
    y, x = np.nonzero(cortex.on_cortex)
    within = np.zeros(cortex.image_shape, bool)
    for outline in cortex.roi_outlines[area]:
        within[y, x] |= inside(outline, np.column_stack([x, y]))
    assert image[within].mean() > 0.6
    assert image[cortex.on_cortex & ~within].mean() < 0.03


SQUARE_AND_DISC = """
<svg xmlns="http://www.w3.org/2000/svg" xmlns:i="http://www.inkscape.org/namespaces/inkscape"
     width="100.0" height="50.0">
  <g i:label="rois"><g i:label="shapes">
    <g i:label="square"><path d="m 10,10 h 20 v 20 h -20 z"/></g>
    <g i:label="disc"><path d="M 80 20 C 80 25.52 75.52 30 70 30 s -10 -4.48 -10 -10
                               C 60 14.48 64.48 10 70 10 s 10 4.48 10 10 z"/></g>
    <g i:label="empty"/>
  </g></g>
  <g i:label="sulci"><g i:label="shapes"><g i:label="CeS"><path d="M 1,1 2,2"/></g></g></g>
</svg>
"""


def test_outlines_are_read_as_curves(tmp_path):
    drawing = tmp_path / "overlays.svg"
    drawing.write_text(SQUARE_AND_DISC)
    outlines = read_outlines(drawing, (26, 51))  # half a pixel a unit
    assert list(outlines) == ["square", "disc"]
    np.testing.assert_allclose(outlines["square"][0], [[5, 5], [15, 5], [15, 15], [5, 15], [5, 5]])
    np.testing.assert_allclose(np.linalg.norm(outlines["disc"][0] - [35, 10], axis=1), 5, rtol=0.01)
    everywhere = np.ones((26, 51), bool)
    assert label_position(outlines["square"][0], everywhere) == pytest.approx((10, 10), abs=0.5)
    assert label_position(outlines["disc"][0], everywhere) == pytest.approx((35, 10), abs=1)
    half = everywhere.copy()
    half[:, :10] = False
    x, _ = label_position(outlines["square"][0], half)
    assert 11 < x < 14


def test_inside_an_outline_with_a_notch():
    outline = np.array([[0, 0], [10, 0], [10, 10], [5, 2], [0, 10]], np.float32)
    points = np.array([[5, 1], [5, 5], [1, 5], [9, 5], [11, 5], [np.nan, 5]])
    assert inside(outline, points).tolist() == [True, False, True, True, False, False]


# Storing


def test_saved_cortex_is_read_back_unchanged(cortex, tmp_path):
    save_cortex(cortex, tmp_path / "again.zarr")
    again = load_cortex(tmp_path / "again.zarr")
    for name in ("mask", "on_cortex", "curvature"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cortex, name))
    assert (again.pixel_of_voxel != cortex.pixel_of_voxel).nnz == 0
    assert again.pixel_of_voxel.shape == cortex.pixel_of_voxel.shape
    assert again.pixel_of_voxel.dtype == np.float32
    assert again.roi_labels == cortex.roi_labels
    assert list(again.voxel_rois) == list(cortex.voxel_rois)
    for name, outlines in cortex.roi_outlines.items():
        for outline, outline_again in zip(outlines, again.roi_outlines[name], strict=True):
            np.testing.assert_array_equal(outline, outline_again)
        np.testing.assert_array_equal(again.voxel_rois[name], cortex.voxel_rois[name])


def test_cortex_without_areas_is_read_back(tiny, tmp_path):
    save_cortex(tiny, tmp_path / "tiny.zarr")
    again = load_cortex(tmp_path / "tiny.zarr")
    assert again.roi_outlines == again.roi_labels == again.voxel_rois == {}
    np.testing.assert_array_equal(again.pixel_of_voxel.toarray(), tiny.pixel_of_voxel.toarray())


def test_store_names_its_dimensions(prepared):
    group = zarr.open_group(prepared[0] / "cortex.zarr", mode="r", zarr_format=3)
    assert group["mask"].metadata.dimension_names == ("z", "y", "x")
    assert all(None not in array.metadata.dimension_names for array in group.array_values())


# Drawing


def test_drawing_names_areas_and_hemispheres(cortex):
    axes = Figure().subplots()
    values = np.linspace(-1, 1, cortex.n_voxels)
    image = draw_flatmap(axes, cortex, values, colormap="RdBu_r", vmin=-2, vmax=2, rois=["AC", "IPS", "none"])
    assert sorted(text.get_text() for text in axes.texts) == ["AC", "AC", "IPS", "IPS", "L", "R"]
    assert len(axes.lines) == 4
    assert image.get_clim() == (-2, 2)
    assert image.get_cmap().name == "RdBu_r"


def test_drawing_shows_folds_where_nothing_is_known(tiny):
    axes = Figure().subplots()
    image = draw_flatmap(axes, tiny, np.array([1, np.nan, np.nan]), colormap="viridis", vmin=0, vmax=1)
    colours = np.asarray(image.get_array())
    np.testing.assert_allclose(colours[0, 0], image.get_cmap()(1.0))
    grey = colours[0, 1, :3]
    assert np.ptp(grey) == 0
    assert 0.7 < grey[0] < 1
    assert colours[:, :, 3].tolist() == [[1, 1], [1, 0]]


def test_an_unknown_colormap_is_named_with_a_close_one(tiny):
    axes = Figure().subplots()
    with pytest.raises(InputError, match="'infermo' is no colormap; did you mean 'inferno'"):
        draw_flatmap(axes, tiny, np.zeros(3), colormap="infermo", vmin=0, vmax=1)
