import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level.design_matrix import create_cosine_drift

from brainlm.simulation.confounds import cosine_drifts, disturbed, simulated_confounds


def table(n_volumes: int = 300, **changes) -> pd.DataFrame:
    return simulated_confounds(n_volumes, 2.0, np.random.default_rng(0), **changes)


@pytest.mark.parametrize(("n_volumes", "tr_s"), [(300, 2.0), (297, 1.5), (40, 1.5)])
def test_cosines_are_those_of_a_high_pass_at_128_s(n_volumes, tr_s):
    expected = create_cosine_drift(1 / 128, np.arange(n_volumes) * tr_s)[:, :-1]
    np.testing.assert_allclose(cosine_drifts(n_volumes, tr_s), expected, atol=1e-12)


def test_derivatives_and_squares_are_those_of_the_column():
    confounds = table()
    for name in ("trans_x", "rot_z", "csf", "global_signal"):
        change = confounds[name].diff()
        np.testing.assert_allclose(confounds[f"{name}_derivative1"], change)
        np.testing.assert_allclose(confounds[f"{name}_power2"], confounds[name] ** 2)
        np.testing.assert_allclose(confounds[f"{name}_derivative1_power2"], change**2)


def test_compcor_has_nothing_slow_and_is_orthonormal_in_the_steady_state():
    confounds = table(n_non_steady=3)
    for prefix, n in (("a", 5), ("c", 3), ("w", 3)):
        components = confounds.filter(regex=f"^{prefix}_comp_cor").to_numpy()
        assert components.shape == (300, n) and (components[:3] == 0).all()
        np.testing.assert_allclose(components.T @ components, np.eye(n), atol=1e-12)
        np.testing.assert_allclose(components.T @ confounds.filter(like="cosine").to_numpy(), 0, atol=1e-12)


def test_volumes_before_the_steady_state_are_marked():
    marks = table(n_non_steady=2).filter(like="non_steady_state").to_numpy()
    np.testing.assert_array_equal(marks, np.eye(300)[:, :2])
    assert table().filter(like="non_steady_state").empty


def test_the_head_mostly_keeps_still():
    displacement = table(2000)["framewise_displacement"]
    assert 0.02 < displacement.mean() < 0.3
    assert 0 < (displacement > 0.5).mean() < 0.1


def test_what_disturbs_an_image_is_gone_after_the_confounds_are_removed():
    random = np.random.default_rng(1)
    confounds = table()
    removed = confounds.filter(regex="^(trans_|rot_|cosine|csf$|white_matter$)").bfill().to_numpy()
    columns = np.column_stack([np.ones(300), (removed - removed.mean(axis=0)) / removed.std(axis=0)])
    assert columns.shape[1] == 1 + 24 + 2 + 9

    def cleaned(image: np.ndarray) -> np.ndarray:
        return image - columns @ np.linalg.lstsq(columns, image)[0]

    bold = random.standard_normal((300, 50))
    image = disturbed(bold, confounds, random, strength=3.0)
    np.testing.assert_allclose(cleaned(image) / 10, cleaned(bold), atol=1e-9)
    added = image / 10 - bold
    # Weights are drawn, so the mean over vertices is near, not at, the strength.
    assert np.sqrt(added.var(axis=0).mean()) == pytest.approx(3.0, rel=0.3)
    assert image.mean() == pytest.approx(1000, abs=2)
