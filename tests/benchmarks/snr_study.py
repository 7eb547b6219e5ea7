"""How hard may it get? The demo's checks at signal-to-noise ratios from 0.1 to 2.

Takes text, features, anatomy and settings from a finished demo (`make demo`), draws new responses of its first
subject at each ratio, trains the three standing experiments on them, and writes a table and a figure to
results/demo/benchmarks/snr_study.*. Run it from the repository's root: `make snr-study`.
"""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow"))

from brainlm.cortex.subject import read_mask
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import train
from brainlm.report.checks import demo_checks
from brainlm.report.latents import snr_study
from brainlm.report.style import publish_figure
from brainlm.rows.pairs import assemble, fit_sources
from brainlm.rows.sources import Source
from brainlm.scores.reconstruction import reconstruction_fit
from brainlm.scores.summary import latent_table, model_summary
from brainlm.simulation.features import load_planted
from brainlm.simulation.listener import listen
from listeners import found_by, write_responses
from pipeline.config import Plan, make_plan

SHORT_NAMES = {
    "shared features found on test stories": "shared features found (%)",
    "shared features found in the brain on test stories": "... found in the brain (%)",
    "median r, brain-only minus shared features": "r, brain-only minus shared",
    "stripe artefacts found and brain-dominant": "stripes found as the brain's (%)",
    "planted maps matched by their latent's decoder map": "planted maps matched (%)",
}
RATIOS = (0.1, 0.2, 0.5, 1.0, 2.0)
SEEDS = (0, 1)


def study_one(plan: Plan, root: Path, snr: float, seed: int, work: Path) -> pd.DataFrame:
    """The checks at one ratio and seed: columns snr, seed, metric, value, bar."""
    simulation, subject = plan.config["dataset"]["simulation"], plan.config["subjects"][0]
    driven, n_rows = load_planted(root / "simulation" / "planted.zarr")
    anatomy = root / "ds003020/derivative/pycortex-db" / subject / "transforms" / f"{subject}_auto"
    mask, voxel_size_mm = read_mask(anatomy / "mask_thick.nii.gz")
    tr_s = plan.config["dataset"]["tr_s"]
    listener = listen(
        driven,
        n_rows,
        mask,
        voxel_size_mm,
        n_spontaneous=simulation["n_spontaneous"],
        snr=snr,
        tr_s=tr_s,
        # Other than the demo's, and others for every ratio.
        random=np.random.default_rng([seed, round(1000 * snr), *b"snr study"]),
    )
    lm, settings = plan.config["language_model"]["name"], plan.experiments["matched"]
    features = root / "features" / lm / plan.variant_of["matched"]
    sources = {
        "brain": write_responses(listener.runs, work),
        "lm": Source("features", {story: features / f"{story}.zarr" for story in n_rows}),
    }
    normalization, _ = fit_sources(
        sources,
        training=plan.stories["train"],
        all_stories=plan.all_stories,
        standardize={source: chosen["standardize"] for source, chosen in settings["normalization"].items()},
    )
    scores = plan.config["scores"]
    minimum_shift = math.ceil(scores["minimum_shift_s"] / tr_s)
    summaries, found = [], []
    for experiment in ("matched", "shuffled", "shifted"):
        pairing = plan.experiments[experiment]["pairing"]
        rows = {
            split: assemble(sources, normalization, stories, **pairing)
            for split, stories in plan.stories.items()
        }
        model, _ = train(
            rows["train"],
            rows["validation"],
            normalization,
            TrainingSettings(**settings["crosscoder"]),
            seed=seed,
        )
        latents = latent_table(
            model,
            rows["test"],
            minimum_shift=minimum_shift,
            false_discovery_rate=scores["false_discovery_rate"],
        )
        fits = {"test": reconstruction_fit(model, rows["test"])}
        summaries.append(
            {
                "experiment": experiment,
                "subject": subject,
                "seed": seed,
                **model_summary(model, latents, fits),
            }
        )
        if experiment in ("matched", "shuffled"):
            matches = found_by(
                model,
                listener,
                n_rows,
                training=rows["train"],
                test=rows["test"],
                latents=latents,
                minimum_shift=minimum_shift,
            )
            found.append(matches.assign(experiment=experiment))
    shares = pd.DataFrame(summaries).set_index("experiment")
    rows = [
        {"metric": SHORT_NAMES[check.name], "value": check.value, "bar": check.threshold}
        for check in demo_checks(pd.DataFrame(summaries), pd.concat(found))
        if check.name in SHORT_NAMES
    ]
    # Ratios of shares are infinite where the null finds nothing; their terms are not.
    rows += [
        {"metric": f"{what}, {experiment} (%)", "value": 100 * shares.loc[experiment, column], "bar": np.nan}
        for what, column, experiments in (
            ("shared latents", "share_shared", ("matched", "shuffled")),
            ("agreeing latents", "share_agreeing", ("matched", "shifted")),
        )
        for experiment in experiments
    ]
    return pd.DataFrame(rows).assign(snr=snr, seed=seed)


def main() -> None:
    """Run the study on the demo's results."""
    torch.set_num_threads(1)
    plan = make_plan(yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8")))
    root = Path(plan.config["results"]) / plan.config["dataset"]["name"]
    if not (root / "simulation" / "planted.zarr").exists():
        sys.exit(f"{root} holds no finished demo: run `make demo` first.")
    tables = []
    for snr in tqdm(RATIOS, unit="ratio"):
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as work:
                tables.append(study_one(plan, root, snr, seed, Path(work)))
    frame = pd.concat(tables, ignore_index=True)
    figure, numbers = snr_study(frame)
    publish_figure(root / "benchmarks" / "snr_study.pdf", figure, numbers, simulated=True)
    print(numbers.to_string(index=False))


if __name__ == "__main__":
    main()
