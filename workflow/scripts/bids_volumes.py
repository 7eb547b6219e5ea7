"""respdict.json of fMRIPrep's derivatives: the volumes that all hearings of a story have."""

import json
from pathlib import Path

from brainlm.files import write_atomically
from job import log, logged

with logged(snakemake):
    for note in snakemake.params.notes:
        log.info("%s", note)
    content = json.dumps(snakemake.params.n_volumes, indent=1)
    write_atomically(Path(snakemake.output.respdict), content.encode())
