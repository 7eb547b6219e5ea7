"""What a dataset's files hold, story by story, and what is wrong with them."""

from pathlib import Path

import pandas as pd

from brainlm.cortex.subject import read_mask
from brainlm.data.check import Clock, Heard, dataset_tables
from brainlm.data.nuisances import nuisance_faults
from brainlm.data.respdict import read_respdict, volumes_of
from brainlm.errors import InputError
from brainlm.files import write_tsv
from brainlm.lm.nuisances import nuisance_names
from brainlm.report.write import publish_table
from brainlm.resample import tr_midpoints
from job import log, logged, progress_bar

with logged(snakemake):
    params, dataset = snakemake.params, snakemake.params.dataset
    heard = [
        Heard(subject, story, split, Path(transcript), Path(responses))
        for subject, story, split, transcript, responses in params.heard
    ]
    faults, clocks, masks = list(params.faults), {}, {}
    respdict, trim = Path(snakemake.resources.respdict), dataset["trim"]
    for story in dict.fromkeys(one.story for one in heard if respdict.exists()):
        try:
            n_volumes = volumes_of(story, read_respdict(respdict), respdict)
        except InputError as error:
            faults.append(str(error))
            continue
        n_rows = n_volumes - trim["first"] - trim["last"]
        of_recording = {"tr_s": dataset["tr_s"], "sound_onset_s": params.sound_onsets_s[story]}
        clocks[story] = Clock(
            n_volumes,
            tr_midpoints(max(n_rows, 0), first_tr=trim["first"], **of_recording),
            **of_recording,
            delays_s=params.features["delays_s"],
            window=params.features["lanczos"]["window"],
            is_segment=story in params.segments,
        )
    faults += nuisance_faults(
        {story: Path(path) for story, path in params.nuisances.items()},
        {story: len(clock.tr_times_s) for story, clock in clocks.items()},
        taken=nuisance_names(params.features["delays_s"]),
    )
    for subject, path in params.masks.items():
        if path and Path(path).exists():
            try:
                masks[subject] = int(read_mask(Path(path))[0].sum())
            except InputError as error:
                faults.append(str(error))
    progress = progress_bar(len(heard), "story")
    table, findings = dataset_tables(
        heard,
        clocks,
        masks,
        absent=params.absent,
        reading=params.reading,
        progress=progress.update,
    )
    of_files = pd.DataFrame({"kind": "impossible", "sentence": faults})
    findings = pd.concat([of_files, findings], ignore_index=True).drop_duplicates()
    for kind, sentence in findings.itertuples(index=False):
        log.info("%s: %s", kind, sentence)
    write_tsv(findings, snakemake.output.findings)
    publish_table(
        snakemake.output[0],
        table,
        title="The dataset",
        notes=[
            "Words are of the transcript, without its dropped labels; times in s after the sound's onset. Volumes "
            "are of the recording (respdict.json), TRs the rows of the responses. Impossible: a run stops there.",
            *faults,
        ],
        simulated=params.simulated,
    )
