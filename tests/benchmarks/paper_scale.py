"""How long training takes at the paper's size, on generated data: 20,000 rows of 99,652 columns, 1,024 latents.

On a GPU all 300 epochs are trained, in bfloat16, and the time is that of the epochs once the rows are on the device.
Without one, some epochs are trained on the processor in float32, and the GPU's time stays unmeasured.
"""

import argparse
import sys
import time

import numpy as np
import torch
from tqdm import tqdm

from brainlm.crosscoder.memory import describe_memory, require_memory, training_memory
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import Log, train
from brainlm.errors import InputError
from brainlm.machine import available_memory
from brainlm.rows.normalization import Normalization
from brainlm.rows.pairs import Rows

WIDTHS = {"brain": 95_556, "lm": 4096}
BAR_S = 15


def generated(n_rows: int, seed: int) -> Rows:
    """White noise of mean norm 1 in each source."""
    edges = np.cumsum([0, *WIDTHS.values()])
    slices = {name: slice(int(a), int(b)) for name, a, b in zip(WIDTHS, edges, edges[1:], strict=False)}
    values = np.empty((n_rows, edges[-1]), np.float32)
    random = np.random.default_rng(seed)
    for start in tqdm(range(0, n_rows, 500), unit="block", desc="generating"):
        random.standard_normal(out=values[start : start + 500], dtype=np.float32)
    for name, columns in slices.items():
        values[:, columns] /= np.float32(np.sqrt(WIDTHS[name]))
    return Rows(values, slices, np.zeros(n_rows, int), ("generated",))


def main() -> None:
    """Train, and print the time and what it means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--cpu-epochs", type=int, default=2, help="epochs without a GPU")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gpu = device == "cuda"
    settings = TrainingSettings(
        epochs=300 if gpu else arguments.cpu_epochs, precision="bfloat16" if gpu else "float32"
    )
    n_columns = sum(WIDTHS.values())
    needed = training_memory(arguments.rows + 2000, n_columns, settings, device)
    print(describe_memory(needed, available_memory(device)))
    try:
        require_memory(needed, available_memory(device))
    except InputError as error:
        sys.exit(str(error))
    training, validation = generated(arguments.rows, 0), generated(2000, 1)
    identity = {
        name: Normalization(
            np.ones(width, bool), np.zeros(width, np.float32), np.ones(width, np.float32), 1.0, "none"
        )
        for name, width in WIDTHS.items()
    }
    progress = tqdm(total=settings.epochs, unit="epoch")
    ends = []

    def note(log: Log) -> None:
        ends.append(time.perf_counter())
        progress.update()

    train(training, validation, identity, settings, seed=0, device=device, on_epoch=note)
    progress.close()
    # The first epoch also waits for the rows to arrive.
    epoch_s = (ends[-1] - ends[0]) / (len(ends) - 1)
    n_steps = -(-arguments.rows // settings.batch_size)
    print(
        f"{arguments.rows:,} x {n_columns:,}, n {settings.n_latents:,}, {settings.precision} on {device}: "
        f"{epoch_s:.3g} s an epoch of {n_steps} steps with its validation, over {len(ends) - 1} epochs; "
        f"300 epochs: {300 * epoch_s:.4g} s"
    )
    if gpu:
        print(f"{torch.cuda.get_device_name()}; bar: {BAR_S} s on an H200")
    else:
        print(f"No GPU here: the time on a GPU (bar: {BAR_S} s on an H200) is unmeasured.")


if __name__ == "__main__":
    main()
