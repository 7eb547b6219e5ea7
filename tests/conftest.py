import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from brainlm.crosscoder.model import Crosscoder
from brainlm.rows.normalization import Normalization
from brainlm.rows.pairs import Rows
from tests.hub_server import Hub, put_hub_at, serving


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


@pytest.fixture(scope="module")
def fitted_case(as_is, rows_of):
    """A random dictionary and rows it explains in part, in three stories; voxel 3 is constant."""
    random = np.random.default_rng(0)
    weights = {"brain": random.standard_normal((8, 12)), "lm": random.standard_normal((5, 12))}
    z = np.maximum(random.standard_normal((60, 12)) - 0.8, 0)
    brain = z @ weights["brain"].T + 2 + 0.3 * random.standard_normal((60, 8))
    brain[:, 3] = 1.7
    model = Crosscoder(
        {source: torch.from_numpy(w.astype(np.float32)) / 4 for source, w in weights.items()},
        torch.zeros(12),
        4,
        {"brain": as_is(8), "lm": as_is(5)},
    )
    return model, rows_of([25, 20, 15], brain=brain, lm=z @ weights["lm"].T)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the Hugging Face hub."""
    import huggingface_hub.constants

    folder = tmp_path / "cache" / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def serve_as_hub(hub_cache, monkeypatch) -> Iterator[Callable[[Path], Hub]]:
    """A function of a folder, which is then the hub's only model."""
    with ExitStack() as stack:

        def serve(folder: Path) -> Hub:
            shown = Hub(folder)
            put_hub_at(stack.enter_context(serving(shown)), monkeypatch)
            return shown

        yield serve


@pytest.fixture(params=["offline", "no network"])
def cut_off(request, monkeypatch) -> Callable[[], None]:
    """Call it to be without the hub from then on."""

    def cut() -> None:
        import huggingface_hub.constants

        if request.param == "offline":
            monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        else:
            # Nothing listens there, which the library finds out several times, with pauses.
            put_hub_at("http://127.0.0.1:9", monkeypatch)
            monkeypatch.setattr(time, "sleep", lambda seconds: None)

    return cut
