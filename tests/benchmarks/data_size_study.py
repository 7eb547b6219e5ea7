"""What can a lab with little data expect of the verdicts?

Draws stories and listeners whose answer is known, trains on some training rows a latent, matched and shifted, and
asks the same models for evidence on nested sets of test stories, from one short story to the paper's number of TRs.
Whether a feature is well found is decided on the largest set: over test TRs the power of the tests varies, not what
was found. Settings are those of config/config.yaml; a batch has at most a tenth of the training rows. Writes two
tables and a figure to results/data-study/. Run it from the repository's root: `make data-study`.
"""

import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow"))

from brainlm.cortex.neighbours import neighbour_pairs, slice_numbers
from brainlm.cortex.subject import read_mask
from brainlm.crosscoder.model import Crosscoder
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import train
from brainlm.report.data_size import SIZE, data_size_figure, data_size_numbers, data_size_table
from brainlm.report.style import publish_figure
from brainlm.report.verdict_checks import HARD_TO_FIND, confusion_table, planted_verdicts
from brainlm.report.write import publish_table
from brainlm.rows.pairs import assemble, fit_sources
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.halves import both_halves
from brainlm.scores.evidence.projections import project_hearings, project_split
from brainlm.scores.evidence.table import Asking, evidence_table
from brainlm.scores.evidence.texture import texture
from brainlm.scores.evidence.verdict import LABELS, is_shared
from brainlm.scores.summary import latent_table
from brainlm.simulation.anatomy import write_simulated_anatomy
from brainlm.store import open_store
from drawn_subjects import Sizes, Subject, simulate
from listeners import activation_of, found_by
from pipeline.config import Plan, make_plan

FOLDER = Path("results", "data-study")
SEEDS = range(6)
VOXEL_SIZE_MM = 10.0
MATCHED = {"brain_time": "matched", "seed": 0}


def evidence(
    model: Crosscoder, subject: Subject, stories: Sequence[str], pairing: Mapping[str, Any], asking: Asking
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Evidence on some test stories, as workflow/scripts/scores.py and evidence.py ask for it."""
    test = assemble(subject.sources, model.normalization, stories, **pairing)
    latents = latent_table(
        model, test, minimum_shift=asking.minimum_shift, false_discovery_rate=asking.false_discovery_rate
    )
    repeated = subject.validation[0]
    repeats = open_store(subject.sources["brain"].stores[repeated])["repeats"]
    halves = both_halves(
        model,
        {
            "test": project_split(model, subject.sources, stories, pairing=pairing),
            "validation": project_split(model, subject.sources, subject.validation, pairing=pairing),
        },
        source="brain",
        activation=activation_of(model, test),
        nuisances=subject.nuisances,
        nuisance_names=subject.nuisance_names,
        recordings={story: story for story in (*stories, *subject.validation)},
        hearings={repeated: project_hearings(model, "brain", repeats)},
    )
    maps = texture(
        model.weights["brain"].numpy()[:, model.alive],
        neighbour_pairs(subject.voxels, np.ones(len(subject.voxels), bool)),
        slice_numbers(subject.voxels, "z"),
    )
    return evidence_table(latents, halves, maps, asking)


def study_one(
    plan: Plan, subject: Subject, n_training: int, seed: int
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """What models of some training TRs show on each test set: a row for `brainlm.report.data_size`, and verdicts.

    Parameters
    ----------
    n_training: training TRs, of `Subject.training`.
    seed: of training and of the shift.

    Yields
    ------
    The row, and `brainlm.report.verdict_checks.planted_verdicts` of the same test set.
    """
    settings, scores = plan.experiments["matched"], plan.config["scores"]
    chosen = TrainingSettings(**settings["crosscoder"])
    chosen = replace(chosen, batch_size=min(chosen.batch_size, n_training // 10))
    asking = Asking(
        math.ceil(scores["minimum_shift_s"] / plan.config["dataset"]["tr_s"]),
        scores["false_discovery_rate"],
        VerdictBounds(**plan.config["evidence"]),
    )
    stories = {"train": subject.training[n_training], "validation": subject.validation}
    largest = subject.test[max(subject.test)]
    normalization, _ = fit_sources(
        subject.sources,
        training=stories["train"],
        all_stories=[*stories["train"], *subject.validation, *largest],
        standardize={source: of["standardize"] for source, of in settings["normalization"].items()},
    )
    pairings = {"matched": MATCHED, "shifted": {"brain_time": "shifted", "seed": seed}}
    models = {}
    for experiment, pairing in pairings.items():
        rows = {
            split: assemble(subject.sources, normalization, of_split, **pairing)
            for split, of_split in stories.items()
        }
        models[experiment], _ = train(rows["train"], rows["validation"], normalization, chosen, seed=seed)
        if experiment == "matched":
            training = rows["train"]
    test = assemble(subject.sources, normalization, largest, **MATCHED)
    found = found_by(
        models["matched"],
        subject.listener,
        subject.n_rows,
        training=training,
        test=test,
        latents=latent_table(
            models["matched"],
            test,
            minimum_shift=asking.minimum_shift,
            false_discovery_rate=asking.false_discovery_rate,
        ),
        minimum_shift=asking.minimum_shift,
    )
    for n_test, of_test in subject.test.items():
        (table, summary), (control, of_control) = (
            evidence(models[experiment], subject, of_test, pairing, asking)
            for experiment, pairing in pairings.items()
        )
        size = {"rows_a_latent": n_training // chosen.n_latents, "test_trs": n_test, "seed": seed}
        verdicts = planted_verdicts(found, table).assign(**size)
        cell = {
            **size,
            **counted(verdicts),
            "live_shifted": of_control["live_latents"],
            "shared_shifted": int(is_shared(control).sum()),
            "whole_model_p": summary["whole_model_p"],
            "whole_model_p_shifted": of_control["whole_model_p"],
            "whole_model_floor": 1 / (1 + summary["n_shifts"]),
            "p_floor": summary["p_floor"],
            "n_at_floor": summary["n_at_floor"],
        }
        yield cell, verdicts


def counted(found: pd.DataFrame) -> dict[str, int]:
    """Counts of planted features, of `planted_verdicts`."""
    well, shared = found["well_found"], found["kind"] == "shared"
    followed = ~found["kind"].isin(HARD_TO_FIND)
    counts = {
        "planted": followed,
        "found": followed & well,
        "shared_found": shared & well,
        "called_shared": shared & well & (found["label"] == "shared"),
        "well_found": well,
        "right": well & found["right"],
    }
    return {name: int(of.sum()) for name, of in counts.items()}


def by_kind(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Planted kinds against verdicts, `brainlm.report.verdict_checks.confusion_table` of each size."""
    tables = []
    for (rows_a_latent, test_trs), of_size in verdicts.groupby(SIZE):
        table = confusion_table(of_size)
        table.insert(0, "test TRs", test_trs)
        table.insert(0, "rows a latent", rows_a_latent)
        tables.append(table)
    # A verdict that is never given at one size is given at another.
    counts = pd.concat(tables, ignore_index=True).fillna(0)
    given = [label for label in LABELS if label in counts]
    return counts[[*counts.columns.drop(given), *given]].astype(dict.fromkeys(given, int))


def notes(cells: pd.DataFrame, sizes: Sizes) -> list[str]:
    """What a reader of the table must know."""
    return [
        f"{cells['seed'].nunique()} draws of stories, subject and training (seeds); counts are of all of them "
        "together, p from the lowest to the highest.",
        f"Found: test correlation of 0.5 or more with {max(sizes.test_trs):,} test TRs, of planted features that "
        "voxels follow, word rate apart. What was found is the same for all numbers of test TRs, so that only the "
        "power of the tests differs; verdicts are of the features found.",
        "Shifted: share of live latents called shared in models of the same rows whose brain was shifted in time.",
        "The whole-model test's p is of shifts alone; that of a latent, of shifts and, where there are at least 199, "
        "of swaps of stories, is the larger of both.",
        f"Test sets are nested: stories of {sizes.story_trs} TRs or a few less, the smallest sets the beginning of "
        f"the first of them. {sizes.n_validation} validation stories of {sizes.story_trs} TRs join in all swaps and "
        "in the fit of nuisances; reliability rests on one of them, heard several times, whatever the test TRs.",
        "As in the demo: kinds and numbers of planted features, haemodynamic response, delays, nuisances, scanner "
        "noise, settings. Not as in the demo: words and hidden states are drawn at random, voxels are larger, and a "
        "batch has at most a tenth of the training rows.",
    ]


def main() -> None:
    """Run the study, and write its tables and its figure."""
    torch.set_num_threads(1)
    plan = make_plan(yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8")))
    sizes = Sizes()
    cells, verdicts = [], []
    with tempfile.TemporaryDirectory() as anatomy:
        write_simulated_anatomy(Path(anatomy), "S", VOXEL_SIZE_MM)
        mask, _ = read_mask(Path(anatomy, "S", "transforms", "S_auto", "mask_thick.nii.gz"))
    progress = tqdm(total=len(SEEDS) * len(sizes.rows_a_latent) * len(sizes.test_trs), unit="cell")
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as work:
            subject = simulate(plan, sizes, mask, VOXEL_SIZE_MM, seed, Path(work))
            for n_training in subject.training:
                for cell, of_cell in study_one(plan, subject, n_training, seed):
                    cells.append(cell)
                    verdicts.append(of_cell)
                    progress.update()
    progress.close()
    frame = pd.DataFrame(cells)
    numbers = data_size_numbers(frame)
    publish_table(
        FOLDER / "verdicts.tsv",
        data_size_table(numbers),
        title="Verdicts with little data",
        notes=notes(frame, sizes),
        simulated=True,
        data=numbers,
    )
    publish_table(
        FOLDER / "planted_verdicts.tsv",
        by_kind(pd.concat(verdicts)),
        title="Verdicts of each planted kind with little data",
        notes=notes(frame, sizes),
        simulated=True,
    )
    publish_figure(FOLDER / "data_size.pdf", *data_size_figure(frame), simulated=True)
    print((FOLDER / "verdicts.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
