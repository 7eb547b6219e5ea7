"""Does the demo find what was planted, and nothing where nothing is?"""

from brainlm.report.checks import bars_table, ceiling_check, demo_checks
from brainlm.report.write import publish_table
from job import logged
from results import read_all, summaries

with logged(snakemake):
    snr = snakemake.params.snr
    checks = demo_checks(summaries(snakemake.input.summaries), read_all(snakemake.input.planted))
    checks.append(ceiling_check(read_all(snakemake.input.ceilings)))
    publish_table(
        snakemake.output[0],
        bars_table(checks),
        title=f"Checks of the method, SNR {snr:g}",
        notes=[
            "SNR: variance of signal over variance of noise, mean over the voxels that carry signal.",
            "Means over subjects and seeds unless stated otherwise.",
        ],
        simulated=True,
    )
