"""Does the demo find what was planted, with the right verdicts, and nothing where nothing is?"""

from pathlib import Path

import pandas as pd

from brainlm.files import read_tsv
from brainlm.report.checks import bars_table, ceiling_check, demo_checks
from brainlm.report.name_checks import name_check, other_shared_names, planted_names
from brainlm.report.verdict_checks import confusion_table, planted_verdicts, verdict_checks
from brainlm.report.write import publish_table
from job import logged
from results import read_all, summaries

with logged(snakemake):
    snr = snakemake.params.snr
    checks = demo_checks(summaries(snakemake.input.summaries), read_all(snakemake.input.planted))
    checks.append(ceiling_check(read_all(snakemake.input.ceilings)))

    # Experiment -> folder of a model -> its evidence.
    evidence: dict[str, dict[Path, pd.DataFrame]] = {}
    for path in map(Path, snakemake.input.evidence):
        evidence.setdefault(path.parents[1].name, {})[path.parent] = read_tsv(path)
    matched = evidence.pop("matched")
    planted = {Path(path).parent: path for path in snakemake.input.planted}
    found = pd.concat(planted_verdicts(read_tsv(planted[model]), table) for model, table in matched.items())
    controls = {name: pd.concat(of_models.values()) for name, of_models in evidence.items()}
    checks += verdict_checks(found, controls)

    annotations = read_tsv(snakemake.input.annotations)
    names = {Path(path).parent: read_tsv(path) for path in snakemake.input.names}
    of_planted = {model: read_tsv(planted[model]) for model in matched}
    checks.append(
        name_check(
            pd.concat(planted_names(of_planted[model], names[model], annotations) for model in matched),
            pd.concat(
                other_shared_names(table, names[model], of_planted[model]) for model, table in matched.items()
            ),
        )
    )
    signal = "SNR: variance of signal over variance of noise, mean over the voxels that carry signal."
    publish_table(
        snakemake.output.checks[0],
        bars_table(checks),
        title=f"Checks of the method, SNR {snr:g}",
        notes=[
            signal,
            "Means over subjects and seeds unless stated otherwise. Well found: a latent whose activation correlates "
            "by 0.5 or more with the feature over test TRs.",
        ],
        simulated=True,
    )
    publish_table(
        snakemake.output.verdicts[0],
        confusion_table(found),
        title=f"Verdicts on the latents that found planted features, SNR {snr:g}",
        notes=[
            signal,
            "Features x subjects x seeds; counts of verdicts are of those that were well found (a latent whose "
            "activation correlates by 0.5 or more with the feature over test TRs).",
            "Right of a component of the LM that follows word rate is what is right of word rate.",
        ],
        simulated=True,
    )
