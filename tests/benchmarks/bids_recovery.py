"""What `make bids-demo` found of what was planted in the listener whose recordings it read as fMRIPrep's output.

Matches each planted feature to a latent, as the demo does, and writes results/bids-demo/planted.tsv, which it prints.
Run it from the repository's root, after `make bids-demo` has run the workflow, which calls it.
"""

import math
import sys
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow"))

from brainlm import Crosscoder
from brainlm.files import read_tsv, write_tsv
from brainlm.rows import assemble, load_codes, load_sources
from brainlm.scores.evidence.verdict import labels
from brainlm.simulation.features import load_planted
from brainlm.simulation.recovery import match_planted
from brainlm.store import open_store
from pipeline.config import make_plan

CONFIG = Path("config", "bids_demo.yaml")
SHOWN = ["feature", "kind", "latent", "test_correlation", "found", "map_correlation", "r", "verdict"]


def main() -> None:
    """Match, write and print."""
    plan = make_plan(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))
    dataset, (subject,) = plan.config["dataset"], plan.config["subjects"]
    folder = Path(plan.config["results"], dataset["name"])
    store = Path(dataset["root"]).parents[1] / "planted.zarr"
    model_folder = folder / subject / "matched" / f"seed{plan.config['seeds'][0]}"
    first, last = dataset["trim"]["first"], dataset["trim"]["last"]

    planted, n_volumes = load_planted(store)
    edges = np.cumsum([0, *n_volumes.values()])
    # Of whole recordings; the workflow cuts both ends off.
    rows_of = {
        story: np.arange(start + first, stop - last)
        for story, start, stop in zip(n_volumes, edges[:-1], edges[1:], strict=True)
    }

    def courses_and_activation(split: str) -> tuple[np.ndarray, np.ndarray]:
        codes = load_codes(model_folder / "codes.zarr", split)
        rows = np.concatenate([rows_of[story] for story in codes])
        return planted.time_courses[rows], np.concatenate([code.activation for code in codes.values()])

    model = Crosscoder.load(model_folder / "crosscoder.safetensors")
    sources = load_sources(folder / subject / "sources" / f"{plan.variant_of['matched']}.json")
    test = assemble(
        sources, model.normalization, plan.stories["test"], **plan.experiments["matched"]["pairing"]
    )
    found = match_planted(
        planted,
        open_store(store)["maps"][:][:, model.normalization["brain"].kept],
        training=courses_and_activation("train"),
        test=courses_and_activation("test"),
        test_brain=model.project("brain", test.source("brain")).numpy(),
        decoder_maps=model.weights["brain"].numpy(),
        latents=read_tsv(model_folder / "latents.tsv"),
        minimum_shift=math.ceil(plan.config["scores"]["minimum_shift_s"] / dataset["tr_s"]),
    )
    evidence = read_tsv(model_folder / "evidence.tsv").set_index("latent")
    found["verdict"] = found["latent"].map(labels(evidence))
    write_tsv(found, folder / "planted.tsv")
    print(found[SHOWN].to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
