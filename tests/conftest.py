from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from brainlm.normalization import Normalization
from brainlm.sources import Rows


@pytest.fixture(scope="session")
def as_is() -> Callable[[int], Normalization]:
    """A normalization that changes nothing, for a source of some width."""

    def build(width: int) -> Normalization:
        return Normalization(
            np.ones(width, bool), np.zeros(width, np.float32), np.ones(width, np.float32), 1.0, "none"
        )

    return build


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., Rows]:
    """Rows from one array a source; `lengths` are the rows of each story."""

    def build(lengths: list[int] | None = None, **sources: np.ndarray) -> Rows:
        edges = np.cumsum([0, *(values.shape[1] for values in sources.values())])
        slices = {name: slice(int(a), int(b)) for name, a, b in zip(sources, edges, edges[1:], strict=False)}
        values = np.concatenate(list(sources.values()), axis=1).astype(np.float32)
        lengths = lengths or [len(values)]
        story = np.repeat(np.arange(len(lengths)), lengths)
        return Rows(values, slices, story, tuple(f"story{i}" for i in range(len(lengths))))

    return build


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Steps this small would spend their time waiting for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
