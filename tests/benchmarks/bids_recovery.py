"""What `make bids-demo` found of what was planted in the listener whose recordings it read as fMRIPrep's output.

Matches each planted feature to a latent, as the demo does, and writes results/bids-demo/planted.tsv, which it prints.
Run it from the repository's root, after `make bids-demo` has run the workflow, which calls it.
"""

import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow"))
sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from brainlm.files import read_tsv, write_tsv
from brainlm.rows import load_sources
from brainlm.scores.evidence.verdict import labels
from pipeline.config import make_plan
from recovered import recovered

CONFIG = Path("config", "bids_demo.yaml")
SHOWN = ["feature", "kind", "latent", "test_correlation", "found", "map_correlation", "r", "verdict"]


def main() -> None:
    """Match, write and print."""
    plan = make_plan(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))
    dataset, (subject,) = plan.config["dataset"], plan.config["subjects"]
    folder = Path(plan.config["results"], dataset["name"])
    model = folder / subject / "matched" / f"seed{plan.config['seeds'][0]}"
    found = recovered(
        Path(dataset["root"]).parents[1] / "planted.zarr",
        load_sources(folder / subject / "sources" / f"{plan.variant_of['matched']}.json"),
        model / "crosscoder.safetensors",
        model / "codes.zarr",
        model / "latents.tsv",
        test_stories=plan.stories["test"],
        pairing=plan.experiments["matched"]["pairing"],
        minimum_shift_s=plan.config["scores"]["minimum_shift_s"],
        tr_s=dataset["tr_s"],
        # Planted in whole recordings, of which the workflow cuts both ends off.
        trim=(dataset["trim"]["first"], dataset["trim"]["last"]),
    )
    found["verdict"] = found["latent"].map(labels(read_tsv(model / "evidence.tsv").set_index("latent")))
    write_tsv(found, folder / "planted.tsv")
    print(found[SHOWN].to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
