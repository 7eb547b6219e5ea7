"""Outlines of cortical areas from a pycortex overlays.svg, read as curves, without Inkscape."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from fontTools.pens.recordingPen import RecordingPen
from fontTools.svgLib.path import parse_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

_SVG = "{http://www.w3.org/2000/svg}"
_INKSCAPE_LABEL = "{http://www.inkscape.org/namespaces/inkscape}label"
_STEPS_PER_CURVE = 8


def read_outlines(overlays: Path, image_shape: tuple[int, int]) -> dict[str, list[np.ndarray]]:
    """Outlines of the areas in the layer "rois" of a subject's drawing.

    Parameters
    ----------
    overlays: pycortex's overlays.svg; without it there are no areas.
    image_shape: (height, width) of the flatmap in pixels.

    Returns
    -------
    Area -> its outlines, each (point, xy) float32 in pixels of the flatmap. Areas without any are left out.
    """
    if not overlays.exists():
        return {}
    drawing = ElementTree.parse(overlays).getroot()
    size = np.array([float(drawing.attrib["width"]), float(drawing.attrib["height"])])
    # The drawing ends at the flatmap's outermost vertices, which lie on the outermost pixels' centres.
    pixels_per_unit = (np.array(image_shape[::-1]) - 1) / size
    shapes = _layers(_layers(drawing).get("rois")).get("shapes")
    outlines = {}
    for name, area in _layers(shapes).items():
        contours = [contour for path in area.iter(f"{_SVG}path") for contour in _contours(path.attrib["d"])]
        if contours:
            outlines[name] = [(contour * pixels_per_unit).astype(np.float32) for contour in contours]
    return outlines


def label_position(outline: np.ndarray, on_cortex: np.ndarray) -> tuple[float, float]:
    """The place for an area's label: inside its outline, on the cortex and farthest from the edges of both.

    Parameters
    ----------
    outline: (point, xy) in pixels.
    on_cortex: (height, width) bool.

    Returns
    -------
    (x, y) in pixels.
    """
    image = Image.new("1", on_cortex.shape[::-1])
    ImageDraw.Draw(image).polygon([tuple(point) for point in outline.tolist()], fill=1)
    depth = distance_transform_edt(np.array(image) & on_cortex)
    # Often several pixels are equally far from the edges: the middle one is the middle of a bar or a disc.
    y, x = np.nonzero(depth == depth.max())
    middle = np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
    return float(x[middle]), float(y[middle])


def inside(outline: np.ndarray, points: np.ndarray) -> NDArray[np.bool_]:
    """Which points lie inside an outline, closed by a straight line where it is open (even-odd rule).

    Parameters
    ----------
    outline: (point, xy).
    points: (candidate, xy); NaN lies outside.

    Returns
    -------
    (candidate,) bool.
    """
    near = np.flatnonzero(np.all((points >= outline.min(0)) & (points <= outline.max(0)), axis=1))
    x, y = points[near].T
    odd = np.zeros(near.size, bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        left = ((x1 - x0) * (y - y0) > (x - x0) * (y1 - y0)) == (y1 > y0)
        odd ^= crosses & left
    result = np.zeros(len(points), bool)
    result[near[odd]] = True
    return result


def _layers(parent: ElementTree.Element | None) -> dict[str, ElementTree.Element]:
    groups = [] if parent is None else parent.findall(f"{_SVG}g")
    return {label: group for group in groups if (label := group.get(_INKSCAPE_LABEL))}


def _contours(path: str) -> list[np.ndarray]:
    """The contours of an SVG path, (point, xy) each, its curves cut into straight steps."""
    recording = RecordingPen()
    parse_path(path, recording)
    contours: list[list[np.ndarray]] = []
    for operation, arguments in recording.value:
        if operation == "moveTo":
            contours.append([np.array(arguments)])
        elif arguments:  # a closing line is among the operations
            contours[-1].append(_bezier(np.array([contours[-1][-1][-1], *arguments])))
    return [np.concatenate(contour) for contour in contours if len(contour) > 1]


def _bezier(control: np.ndarray) -> np.ndarray:
    """(step, xy) points after the first of a Bezier curve of any order, by de Casteljau's rule."""
    if len(control) == 2:
        return control[1:]
    t = (np.arange(_STEPS_PER_CURVE) + 1)[:, None] / _STEPS_PER_CURVE
    points = [np.broadcast_to(point, (_STEPS_PER_CURVE, 2)) for point in control]
    while len(points) > 1:
        points = [(1 - t) * a + t * b for a, b in zip(points, points[1:], strict=False)]
    return points[0]
