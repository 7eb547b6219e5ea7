"""Are verdicts right at other signal-to-noise ratios, and does the whole-model test hold with few test TRs?

Runs the demo's workflow on other simulated listeners: two subjects and three seeds at each ratio; and one subject
with a single test story and half as many latents, matched and shifted by twenty other shifts. Writes to
results/evidence-study/ how often planted features are found and called right, as a table and a figure, and tables of
the verdicts of each kind and of the whole-model tests. Run it from the repository's root: `make evidence-study`.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow"))

from brainlm.files import read_tsv
from brainlm.report.latents import snr_study
from brainlm.report.style import publish_figure
from brainlm.report.write import publish_table

FOLDER = Path("results", "evidence-study")
RATIOS = (0.3, 1.0, 3.0)
SHORT_NAMES = {
    "planted features that voxels follow, well found (%)": "features that voxels follow, found (%)",
    "right verdict, of those well found (%)": "right verdict, of those found (%)",
    "right verdict, the kind with fewest (%)": "... of the kind with fewest (%)",
    "planted as anything else, but called shared without a qualifier (%)": "others called shared (%)",
    "live latents called shared where time does not correspond (%)": "called shared in controls (%)",
}
SHIFTS = range(1, 21)
FEW_TEST_STORIES = ("riverferry",)
FEW_LATENTS = {"n_latents": 32, "k": 2, "k_aux": 16}


def run(config: Mapping[str, Any], targets: Sequence[str]) -> Path:
    """Run the workflow for some of its results, named as seen from the run's folder, which is returned."""
    name = config["dataset"]["name"]
    file = FOLDER / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    folder = Path(config["results"], name)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--configfile",
        file,
        "--cores",
        "all",
        "--quiet",
        "host",
        "rules",
        "reason",
    ]
    subprocess.run([*map(str, command), "--", *(str(folder / target) for target in targets)], check=True)
    return folder


def of_demo(name: str, **changes: Any) -> dict[str, Any]:
    """The demo's config for another listener, without the experiments that only the demo's checks need."""
    demo = yaml.safe_load(Path("config", "config.yaml").read_text(encoding="utf-8"))
    demo |= {"results": str(FOLDER), "experiments": {}} | changes
    demo["dataset"] |= {"name": name}
    return demo


def at_ratio(snr: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The checks of verdicts, and the verdicts of each planted kind."""
    config = of_demo(f"snr-{snr:g}")
    # Another draw of all that is simulated.
    config["dataset"]["simulation"] |= {"snr": snr, "seed": 1}
    folder = run(config, ["tables/checks.tsv", "tables/planted_verdicts.tsv"])
    checks, verdicts = (
        read_tsv(folder / "tables" / f"{name}.tsv") for name in ("checks", "planted_verdicts")
    )
    return checks[checks["check"].isin(SHORT_NAMES)].assign(SNR=snr), verdicts.assign(SNR=snr)


def with_few_rows() -> pd.DataFrame:
    """The whole-model test of one subject, matched and after each of twenty shifts."""
    config = of_demo("few-rows", subjects=["SIM01"], seeds=[0])
    stories = pd.read_csv(config["dataset"]["stories"], sep="\t")
    left_out = (stories["split"] == "test") & ~stories["story"].isin(FEW_TEST_STORIES)
    stories.loc[left_out, "split"] = "unused"
    table = FOLDER / "few-stories.tsv"
    table.parent.mkdir(parents=True, exist_ok=True)
    stories.to_csv(table, sep="\t", index=False)
    config["dataset"]["stories"] = str(table)
    config["dataset"]["simulation"]["repeated_story"] = FEW_TEST_STORIES[0]
    config["crosscoder"] |= FEW_LATENTS
    config["experiments"] = {
        f"shift{seed}": {"pairing": {"brain_time": "shifted", "seed": seed}} for seed in SHIFTS
    }
    experiments = ["matched", *config["experiments"]]
    names = [f"SIM01/{experiment}/seed0/evidence_summary.tsv" for experiment in experiments]
    folder = run(config, names)
    summaries = pd.concat([read_tsv(folder / name) for name in names])
    columns = ["experiment", "n_rows", "live_latents", "n_shifts", "whole_model_agreement", "whole_model_p"]
    return summaries[[*columns, "share_shared"]]


def draw(checks: pd.DataFrame) -> None:
    """The checks over ratios, a panel each."""
    drawn = pd.DataFrame(
        {
            "snr": checks["SNR"],
            "seed": 1,
            "metric": checks["check"].map(SHORT_NAMES),
            "value": checks["result"].astype(float),
            # "≥ 85"
            "bar": checks["bar"].str.split().str[-1].astype(float),
        }
    )
    publish_figure(FOLDER / "checks.pdf", *snr_study(drawn), simulated=True)


def publish(name: str, frame: pd.DataFrame, title: str, note: str) -> None:
    """Write a table, and print it."""
    publish_table(FOLDER / f"{name}.tsv", frame, title=title, notes=[note], simulated=True)
    print((FOLDER / f"{name}.md").read_text(encoding="utf-8"))


def main() -> None:
    """Run the study, and write and print its tables."""
    checks, verdicts = (pd.concat(of_ratios) for of_ratios in zip(*map(at_ratio, RATIOS), strict=True))
    # A verdict that no latent has at one ratio has no column there.
    counts = verdicts.columns.difference(["planted kind", "right verdict", "SNR"], sort=False)
    verdicts[counts] = verdicts[counts].fillna(0).astype(int)
    draw(checks)
    publish(
        "checks",
        checks,
        "Verdicts over signal-to-noise ratios",
        "Two subjects and three seeds at each ratio.",
    )
    publish(
        "planted_verdicts",
        verdicts,
        "Verdicts of each planted kind",
        "Counts of features x subjects x seeds.",
    )
    few = with_few_rows()
    shifted = few.loc[few["experiment"] != "matched", "whole_model_p"]
    publish(
        "whole_model",
        few,
        "The whole-model test with few test TRs",
        f"{(shifted < 0.05).sum()} of {len(shifted)} shifted models have p below 0.05. One subject, one seed of "
        "training.",
    )


if __name__ == "__main__":
    main()
