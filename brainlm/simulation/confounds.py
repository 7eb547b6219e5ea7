"""Tables of confounds as fMRIPrep writes them, drawn at random, and recordings that such confounds disturb."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from brainlm.simulation.components import standardize, without

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
LONGEST_PERIOD_S = 128.0
"""Slower changes are what fMRIPrep's cosines describe."""
HEAD_RADIUS_MM = 50.0
"""Where a rotation is measured as a way, in framewise displacement (Power et al., 2012)."""
OUTLIER_MM = 0.5
"""Framewise displacement from which on fMRIPrep marks a volume as a motion outlier."""
N_COMPCOR = {"a": 5, "c": 3, "w": 3}
"""Columns of CompCor in the combined mask, in cerebrospinal fluid and in white matter."""
JERK_EVERY_S = 120.0
"""Mean time between jerks of the head."""
LEVEL = 1000.0
"""Mean of the simulated images, in which 1 % of change is 1 s.d. of noise."""


def simulated_confounds(
    n_volumes: int, tr_s: float, random: np.random.Generator, *, n_non_steady: int = 0
) -> pd.DataFrame:
    """The table of one run of a head that drifts and now and then jerks.

    Columns and missing values are those of fMRIPrep: mean signals and head movements with their derivatives and
    squares, cosines, CompCor, framewise displacement, volumes that are outliers or not yet in a steady state. Only
    the columns' courses are made up; none is computed from an image.

    Parameters
    ----------
    n_non_steady: leading volumes that fMRIPrep takes for not yet in a steady state.

    Returns
    -------
    One row a volume, float64; derivatives and framewise displacement are NaN in the first.
    """
    n_steady = n_volumes - n_non_steady
    signals = {
        name: LEVEL + 5 * _noise(n_volumes, random) for name in ("csf", "white_matter", "global_signal")
    }
    has_jerk = random.random(n_volumes) < tr_s / JERK_EVERY_S
    motion = {
        name: (0.1 if name.startswith("trans") else 0.002) * _head_position(has_jerk, tr_s, random)
        for name in MOTION
    }
    displacement = np.sum(
        [np.abs(_change(x)) * (HEAD_RADIUS_MM if name in MOTION[3:] else 1) for name, x in motion.items()],
        axis=0,
    )
    cosines = cosine_drifts(n_steady, tr_s)
    columns = _expanded(signals)
    columns |= {
        "std_dvars": 1 + 0.1 * _change(_noise(n_volumes, random)),
        "framewise_displacement": displacement,
    }
    for prefix, n in N_COMPCOR.items():
        # As there, what is slow is out of them, they are orthonormal, and 0 before the steady state.
        noise = np.column_stack([_noise(n_steady, random) for _ in range(n)])
        steady, _ = np.linalg.qr(without(noise, cosines))
        columns |= {f"{prefix}_comp_cor_{i:02}": _after(n_non_steady, steady[:, i]) for i in range(n)}
    columns |= {f"cosine{i:02}": _after(n_non_steady, cosine) for i, cosine in enumerate(cosines.T)}
    volumes = np.arange(n_volumes)
    columns |= {f"non_steady_state_outlier{i:02}": (volumes == i).astype(float) for i in range(n_non_steady)}
    columns |= _expanded(motion)
    jerks = np.flatnonzero(displacement > OUTLIER_MM)
    columns |= {f"motion_outlier{i:02}": (volumes == jerk).astype(float) for i, jerk in enumerate(jerks)}
    return pd.DataFrame(columns)


def cosine_drifts(n_volumes: int, tr_s: float) -> np.ndarray:
    """(time, cosine) cosines with periods of at least `LONGEST_PERIOD_S`, the constant not among them."""
    order = int(2 * n_volumes * tr_s / LONGEST_PERIOD_S)
    half_waves = np.arange(1, order + 1)
    return np.sqrt(2 / n_volumes) * np.cos(
        np.pi * np.outer(np.arange(n_volumes) + 0.5, half_waves) / n_volumes
    )


def disturbed(
    bold: np.ndarray, confounds: pd.DataFrame, random: np.random.Generator, *, strength: float
) -> NDArray[np.float64]:
    """An image of which cleaning has something to take away: signal, head movements and slow drifts.

    Every column that nilearn's strategy "simple" removes (24 of head movements, mean signals of white matter and
    cerebrospinal fluid, cosines) is added to every vertex with a weight of its own, drawn at random.

    Parameters
    ----------
    bold: (time, vertex) in units of the noise's s.d. confounds: from `simulated_confounds`, as many rows.
    strength: s.d. of what is added, on average, in the same units.

    Returns
    -------
    (time, vertex) float64 about `LEVEL`.
    """
    removed = [name for name in confounds if name.startswith(("trans_", "rot_", "cosine"))]
    # Derivatives are missing in the first row, where nilearn takes them for the second's.
    courses = standardize(confounds[[*removed, "csf", "white_matter"]].bfill().to_numpy())
    weights = random.standard_normal((courses.shape[1], bold.shape[1])) / np.sqrt(courses.shape[1])
    return LEVEL * (1 + 0.01 * (bold + strength * courses @ weights))


def _noise(n_volumes: int, random: np.random.Generator) -> np.ndarray:
    """(time,) autocorrelated noise."""
    return lfilter([1.0], [1.0, -0.5], random.standard_normal(n_volumes))


def _head_position(has_jerk: np.ndarray, tr_s: float, random: np.random.Generator) -> np.ndarray:
    """(time,) a slow random walk of s.d. 1 after 5 minutes, and jerks of about that size."""
    drift = random.standard_normal(has_jerk.size) * np.sqrt(tr_s / 300)
    return np.cumsum(drift + has_jerk * random.standard_normal(has_jerk.size))


def _change(course: np.ndarray) -> np.ndarray:
    """(time,) difference to the volume before, NaN in the first."""
    return np.diff(course, prepend=np.nan)


def _expanded(courses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each course, its derivative, and the squares of both, by the names that fMRIPrep gives them."""
    return {
        f"{name}{suffix}": values
        for name, x in courses.items()
        for suffix, values in (
            ("", x),
            ("_derivative1", _change(x)),
            ("_power2", x**2),
            ("_derivative1_power2", _change(x) ** 2),
        )
    }


def _after(n_non_steady: int, steady: np.ndarray) -> np.ndarray:
    """(time,) 0 before the steady state."""
    return np.concatenate([np.zeros(n_non_steady), steady])
