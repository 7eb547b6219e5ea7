"""Say all that is wrong with a dataset; end with an error if no run is possible."""

import sys

from brainlm.errors import InputError
from brainlm.files import read_tsv
from job import log, logged

with logged(snakemake):
    findings = read_tsv(snakemake.input.findings)
    sentences = {
        kind: findings.loc[findings["kind"] == kind, "sentence"].tolist() for kind in ("impossible", "odd")
    }
    for kind, heading in (("odd", "Odd, but a run is possible:"), ("impossible", "A run is impossible:")):
        for line in [heading, *(f"  {sentence}" for sentence in sentences[kind])] * bool(sentences[kind]):
            log.info("%s", line)
            print(line, file=sys.__stderr__)
    n_faults, n_odd = map(len, (sentences["impossible"], sentences["odd"]))
    counts = f"{n_faults} fault{'s' * (n_faults != 1)}, {n_odd} oddit{'y' if n_odd == 1 else 'ies'}"
    if sentences["impossible"]:
        raise InputError(
            f"the dataset cannot be used as it is ({counts}): see above, and {snakemake.input.table}."
        )
    print(f"The dataset can be used ({counts}): see {snakemake.input.table}.", file=sys.__stderr__)
