"""Train one crosscoder."""

import signal
import sys
import threading
from pathlib import Path

import torch
from tqdm import tqdm

from brainlm.normalization import load_normalization
from brainlm.sources import assemble
from brainlm.training import Checkpointing, Interrupted, TrainingSettings, train
from job import describe, log, logged, recordings

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
    stop = threading.Event()
    # A cluster's time limit: save, so that the next try goes on from here.
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    checkpointing = Checkpointing(
        Path(snakemake.output.crosscoder).with_name("checkpoint.safetensors"),
        should_stop=stop.is_set,
        report=log.info,
    )
    progress = tqdm(total=settings.epochs, unit="epoch", mininterval=10)

    def show(epoch: dict[str, float]) -> None:
        progress.update(int(epoch["epoch"]) - progress.n)
        if epoch["epoch"] % max(1, settings.epochs // 20) == 0:
            log.info(describe(epoch))

    try:
        model, training = train(
            rows["train"],
            rows["validation"],
            normalization,
            settings,
            seed=int(snakemake.wildcards.seed),
            provenance={
                **params.provenance,
                "subject": snakemake.wildcards.subject,
                "experiment": snakemake.wildcards.experiment,
                "pairing": params.pairing,
                "stories": params.stories,
            },
            on_epoch=show,
            checkpointing=checkpointing,
        )
    except Interrupted as interruption:
        log.info("%s; run again to go on from %s", interruption, checkpointing.path)
        sys.exit(1)
    progress.close()
    log.info(
        "the best validation epoch was %d of %d; the model kept is the last epoch's",
        model.provenance["best_validation_epoch"],
        settings.epochs,
    )
    training.to_csv(snakemake.output.training, sep="\t", index=False)
    model.save(snakemake.output.crosscoder)
    checkpointing.path.unlink(missing_ok=True)
