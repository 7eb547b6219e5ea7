"""subject_xfms.json of the simulated dataset."""

import json
from pathlib import Path

from job import logged

with logged(snakemake):
    transforms = {subject: f"{subject}_auto" for subject in snakemake.params.subjects}
    Path(snakemake.output.transforms).write_text(json.dumps(transforms), encoding="utf-8")
