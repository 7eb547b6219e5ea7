"""What a run's table of provenance says, from the records of its models: unlike the records, a result."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.code_changes import CODE_PREFIX

SHOWN_DIGITS = 12


def code_of(record: Mapping[str, Any]) -> str | None:
    """The digest of the code that made an output: the param that begins with "code "; None if there is none."""
    params = record["params"].values()
    codes = (value for value in params if isinstance(value, str) and value.startswith(CODE_PREFIX))
    return next((code.removeprefix(CODE_PREFIX) for code in codes), None)


def models_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a model: where it comes from.

    Parameters
    ----------
    records : of files of models, whose jobs have the wildcards subject, experiment and seed.

    Returns
    -------
    Columns subject, experiment, seed, device, code, model and inputs: the first 12 digits of the SHA-256 of the
    model's file, and of the list of its inputs' paths and digests, which are equal where all inputs are.
    """
    rows = [
        {
            "subject": record["wildcards"]["subject"],
            "experiment": record["wildcards"]["experiment"],
            "seed": int(record["wildcards"]["seed"]),
            "device": record["device"],
            "code": code_of(record),
            "model": record["digest"].removeprefix("sha256:")[:SHOWN_DIGITS],
            "inputs": _inputs_digest(record)[:SHOWN_DIGITS],
        }
        for record in records
    ]
    columns = ["subject", "experiment", "seed", "device", "code", "model", "inputs"]
    return pd.DataFrame(rows, columns=columns)


def versions_note(records: Sequence[Mapping[str, Any]]) -> str:
    """One sentence with the versions that results were made with, and in which of them the results differ."""
    names = list(dict.fromkeys(name for record in records for name in sorted(record["versions"])))
    found = {name: sorted({record["versions"].get(name, "none") for record in records}) for name in names}
    same = [f"{name} {values[0]}" for name, values in found.items() if len(values) == 1]
    mixed = [f"{name} ({', '.join(values)})" for name, values in found.items() if len(values) > 1]
    difference = f"; the models differ in {', '.join(mixed)}" if mixed else ""
    return f"Versions: {', '.join(same)}{difference}."


def _inputs_digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record["inputs"], sort_keys=True).encode()).hexdigest()
