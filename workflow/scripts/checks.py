"""Does the demo find what was planted, and nothing where nothing is?"""

from pathlib import Path

from brainlm.report.checks import bars_table, ceiling_check, demo_checks
from brainlm.report.write import write_table
from job import logged
from results import read_all, summaries

with logged(snakemake):
    snr = snakemake.params.snr
    checks = demo_checks(summaries(snakemake.input.summaries), read_all(snakemake.input.planted))
    checks.append(ceiling_check(read_all(snakemake.input.ceilings)))
    write_table(
        bars_table(checks),
        Path(snakemake.output[0]).with_suffix(""),
        title=f"Checks of the method on simulated data (SNR {snr:g})",
        notes=[
            "SNR: variance of signal over variance of noise, mean over the voxels that carry signal.",
            "Means over subjects and seeds unless stated otherwise.",
        ],
    )
