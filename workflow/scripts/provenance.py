"""Where every model comes from: code, device, inputs, versions and the config."""

from pathlib import Path

import yaml

from brainlm.report.write import publish_table
from brainlm.store import to_json
from job import logged, results_folder
from pipeline.provenance import read_record
from pipeline.provenance_table import models_table, versions_note

with logged(snakemake):
    records = [read_record(Path(model), results_folder()) for model in snakemake.input.models]
    publish_table(
        snakemake.output[0],
        models_table(records),
        title="Where the models come from",
        notes=[
            "Model and inputs: the first digits of SHA-256 digests; the whole ones, and the settings of every job, "
            "stand in the records below provenance/.",
            versions_note(records),
            *(
                # In one line, without the braces around all.
                yaml.safe_dump(
                    {key: value}, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6
                ).strip()[1:-1]
                for key, value in to_json(snakemake.params.config).items()
            ),
        ],
        simulated=snakemake.params.simulated,
    )
