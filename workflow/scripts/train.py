"""Train one crosscoder."""

from pathlib import Path

import torch
from job import describe, log, logged, recordings
from tqdm import tqdm

from brainlm.normalization import load_normalization
from brainlm.sources import assemble
from brainlm.training import TrainingSettings, train

with logged(snakemake):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    settings = TrainingSettings(**params.crosscoder)
    sources, normalization = recordings(snakemake), load_normalization(Path(snakemake.input.normalization))
    rows = {
        split: assemble(sources, normalization, params.stories[split], **params.pairing)
        for split in ("train", "validation")
    }
    log.info("training rows %d x %d columns; %s", *rows["train"].values.shape, settings)
    progress = tqdm(total=settings.epochs, unit="epoch", mininterval=10)

    def show(epoch: dict[str, float]) -> None:
        progress.update()
        if epoch["epoch"] % max(1, settings.epochs // 20) == 0:
            log.info(describe(epoch))

    model, training = train(
        rows["train"],
        rows["validation"],
        normalization,
        settings,
        seed=int(snakemake.wildcards.seed),
        provenance={
            "subject": snakemake.wildcards.subject,
            "experiment": snakemake.wildcards.experiment,
            "pairing": params.pairing,
            "stories": params.stories,
        },
        on_epoch=show,
    )
    progress.close()
    best = training.loc[training["validation_squared_error"].idxmin(), "epoch"]
    log.info(
        "the best validation epoch was %d of %d; the model kept is the last epoch's", best, settings.epochs
    )
    training.to_csv(snakemake.output.training, sep="\t", index=False)
    model.save(snakemake.output.crosscoder)
