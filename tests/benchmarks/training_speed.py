"""How fast a training step is on a processor, against autograd and other libraries, as ratios in one run.

All contestants take turns on the same batch, so that whatever else the machine does falls on all of them. Times are
medians; each is one step on one batch with Adam, in float32. Prints two tables in Markdown.
"""

import argparse
import platform
import random
import statistics
import time
from collections.abc import Callable

import contestants
import psutil
import torch
from contestants import Shape
from tqdm import tqdm

SHAPES = {
    "An eighth of the paper's columns": Shape(12_456, 1024, 64, 2048),
    "The demo": Shape(3829, 64, 4, 256),
}
PEERS = {
    "dictionary-learning": contestants.dictionary_learning,
    "SAELens": contestants.sae_lens,
}


def steps_of(shape: Shape, rows: torch.Tensor) -> dict[str, Callable[[], None]]:
    """Name -> a step, for all contestants that are installed."""
    n_dead = shape.n_latents // 2
    steps = {
        "brainlm": contestants.ours(shape, rows),
        "dense autograd": contestants.dense_autograd(shape, rows),
        f"brainlm, {n_dead} dead latents": contestants.ours(shape, rows, n_dead),
        f"dense autograd, {n_dead} dead latents": contestants.dense_autograd_with_auxiliary(
            shape, rows, n_dead
        ),
    }
    for name, build in PEERS.items():
        try:
            steps[name] = build(shape, rows)
        except (ImportError, RuntimeError) as error:
            print(f"{name} cannot be loaded and is left out ({error}); `make bench` sets it up.")
    weights = contestants.initial_decoder(shape).T
    steps["one product X W"] = lambda: torch.mm(rows, weights)
    return steps


def medians(steps: dict[str, Callable[[], None]], n_rounds: int) -> dict[str, float]:
    """Name -> median time of a step, s, after two rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps.items())
    for number in tqdm(range(n_rounds + 2), unit="round"):
        # Each finds the caches as another one left them.
        random.Random(number).shuffle(order)
        for name, step in order:
            began = time.perf_counter()
            step()
            if number >= 2:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def operations(shape: Shape) -> float:
    """Multiplications and additions of one of our steps that are needed: zeros and one triangle of G left out."""
    rows, columns, latents = shape.n_rows, shape.n_columns, shape.n_latents
    wide = rows * latents + latents**2 / 2 + rows * shape.k + latents**2
    return 2 * columns * wide + 2 * rows * latents * (latents + latents / 2)


def report(name: str, shape: Shape, n_rounds: int) -> None:
    """Measure and print one table."""
    rows = torch.randn(shape.n_rows, shape.n_columns, generator=torch.Generator().manual_seed(0))
    rows /= rows.norm(dim=1).mean()
    steps = steps_of(shape, rows)
    time_of = medians(steps, n_rounds)
    product = time_of.pop("one product X W")
    peak = 2 * shape.n_rows * shape.n_columns * shape.n_latents / product
    print(
        f"\n{name}: D {shape.n_columns:,}, n {shape.n_latents:,}, k {shape.k}, B {shape.n_rows:,}; "
        f"medians of {n_rounds}\n\n| step | ms | brainlm is faster by |\n|---|---:|---:|"
    )
    for contestant, seconds in time_of.items():
        dead = " dead latents" in contestant
        against = next(name for name in time_of if name.startswith("brainlm") and (" dead" in name) == dead)
        ratio = "" if contestant == against else f"{seconds / time_of[against]:.2f}"
        print(f"| {contestant} | {1000 * seconds:.4g} | {ratio} |")
    share = operations(shape) / time_of["brainlm"] / peak
    print(
        f"\nOne dense product X W reaches {peak / 1e9:.0f} GFLOP/s; the operations that brainlm's step needs run at "
        f"{100 * share:.0f} % of that rate."
    )


def main() -> None:
    """Run both shapes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds at the large shape")
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads of {psutil.cpu_count()} processors, "
        f"{torch.backends.cpu.get_cpu_capability()}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    )
    for name, shape in SHAPES.items():
        small = shape.n_columns * shape.n_latents < 10**6
        report(name, shape, 20 * arguments.rounds if small else arguments.rounds)


if __name__ == "__main__":
    main()
