import numpy as np
import pytest

from brainlm.scores.interpretation import Separation


@pytest.fixture
def separations() -> dict[str, Separation]:
    null = np.random.default_rng(0).uniform(0.3, 0.7, (101, 6))
    return {
        "place": Separation(np.array([0.6, 0.9, 0.5, 0.95, 0.2, 0.55]), null),
        "negative": Separation(np.array([0.8, 0.3, 0.5, 0.4, 0.99, 0.1]), null + 0.1),
    }
