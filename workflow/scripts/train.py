"""Train one crosscoder."""

import signal
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import torch

from brainlm.crosscoder.log import few_rows_warning
from brainlm.crosscoder.memory import describe_memory, require_memory, training_memory
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import Checkpointing, Interrupted, Log, train
from brainlm.files import write_tsv
from brainlm.machine import available_memory, choose_device
from brainlm.rows.normalization import load_normalization
from brainlm.rows.pairs import assemble, story_lengths
from job import describe, log, logged, progress_bar, warn
from job_inputs import listed_sources, of_each_source

with logged(snakemake) as facts:
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    sources = listed_sources(snakemake.input.sources)
    normalization = load_normalization(Path(snakemake.input.normalization))
    weights = of_each_source(params.crosscoder["source_weights"], sources)
    settings = TrainingSettings(**{**params.crosscoder, "source_weights": weights})
    device = facts["device"] = str(choose_device(snakemake.resources.device))
    splits = {split: params.stories[split] for split in ("train", "validation")}
    log.info("on %s with %d threads: %s", device, snakemake.threads, settings)

    n_rows = sum(sum(story_lengths(sources, stories)) for stories in splits.values())
    n_columns = sum(fitted.width for fitted in normalization.values())
    needed, available = training_memory(n_rows, n_columns, settings, device), available_memory(device)
    log.info(describe_memory(needed, available))
    require_memory(needed, available)
    rows = {
        split: assemble(sources, normalization, stories, **params.pairing)
        for split, stories in splits.items()
    }
    log.info("training rows %d x %d columns", *rows["train"].values.shape)
    if sentence := few_rows_warning(len(rows["train"].values), settings.n_latents):
        wildcards = snakemake.wildcards
        warn(f"{wildcards.subject}, {wildcards.experiment}, seed {wildcards.seed}: {sentence}")

    stop = threading.Event()
    # A cluster's time limit, or Ctrl-C: save, so that the next try goes on from here.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stop.set())
    checkpointing = Checkpointing(
        Path(snakemake.output.crosscoder).with_name("checkpoint.safetensors"),
        every_s=60 * snakemake.resources.checkpoint_minutes,
        should_stop=stop.is_set,
        report=log.info,
    )
    progress = progress_bar(settings.epochs, "epoch")
    times = [time.monotonic()]

    def show(lines: Log) -> None:
        epoch = lines[-1]["epoch"]
        pd.DataFrame(lines).to_csv(snakemake.output.training, sep="\t", index=False)
        if len(times) == 1:
            # A run that is taken up does not begin at 1.
            progress.initial = progress.n = epoch - 1
        progress.update()
        times.append(time.monotonic())
        if epoch % max(1, settings.epochs // 20) == 0:
            pace = (times[-1] - times[0]) / (len(times) - 1)
            left = pace * (settings.epochs - epoch)
            log.info("%s; %.3g s an epoch, %.0f s left", describe(lines[-1]), pace, left)

    try:
        model, training = train(
            rows["train"],
            rows["validation"],
            normalization,
            settings,
            seed=int(snakemake.wildcards.seed),
            device=device,
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
    write_tsv(training, snakemake.output.training, digits=None)
    model.save(snakemake.output.crosscoder)
    for file in checkpointing.path.parent.glob(f"{checkpointing.path.name}*"):
        file.unlink()
