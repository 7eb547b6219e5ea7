"""A crosscoder as a folder that others can use, as models lie on the Hugging Face hub.

model.safetensors   the crosscoder's file, which `Crosscoder.load` reads as well
config.json         what whoever reads the arrays without brainlm needs, and what the model was trained on
README.md           the model card
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainlm.crosscoder.model import Crosscoder
from brainlm.crosscoder.model_file import FORMAT
from brainlm.errors import InputError, one_line
from brainlm.files import whole_folder, write_atomically
from brainlm.hub import locate, obtain
from brainlm.store import to_json

KIND = "crosscoder"
"""What sentences about it call the model."""
MODEL_TYPE = "brainlm-crosscoder"
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def save_pretrained(
    model: Crosscoder, folder: str | Path, *, card: str, trained_on: Mapping[str, Any]
) -> None:
    """Write a folder that `load_pretrained` and the Hugging Face hub take, as a whole or not at all.

    Parameters
    ----------
    folder: a new one, or one that this function wrote, which is replaced; its parent folders are made.
    card: the model card, Markdown that begins with the hub's metadata (YAML between two lines "---").
    trained_on: what config.json says of data and settings, e.g. `model.provenance`; NumPy values and paths are
        converted to JSON.

    Raises
    ------
    InputError: there is something else at `folder`.
    """
    folder = Path(folder)
    if not _is_replaceable(folder):
        raise InputError(
            f"{folder} cannot be written, because there is something else: move it away, or choose another folder."
        )
    with whole_folder(folder) as partial:
        model.save(partial / WEIGHTS)
        config = {**describe(model), "sha256": _sha256(partial / WEIGHTS), "trained_on": trained_on}
        text = json.dumps(to_json(config), indent=1, ensure_ascii=False)
        write_atomically(partial / CONFIG, f"{text}\n".encode())
        write_atomically(partial / CARD, card.encode())


def load_pretrained(source: str | Path, revision: str | None = None) -> Crosscoder:
    """Read what `save_pretrained` wrote.

    Parameters
    ----------
    source: the folder, or the name of a repository on the Hugging Face hub, which is downloaded into its cache.
    revision: of the repository: a branch, tag or commit.

    Raises
    ------
    InputError: no such folder or repository, or it cannot be reached; a file is missing or damaged, or does not
        belong to the other; or it is another kind of model, or in another format.
    """
    folder = obtain(locate(source, KIND), revision, [WEIGHTS, CONFIG, CARD], KIND)
    if not folder.is_dir():
        raise InputError(
            f"{folder} is a file, but a shared crosscoder is a folder with {WEIGHTS} and {CONFIG}: give the folder, "
            "or read a single file with Crosscoder.load."
        )
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(
                f"The crosscoder {source} lacks {name}: get the folder again, whole; a single file of a run is read "
                "with Crosscoder.load."
            )
    config = _read_config(folder / CONFIG)
    if _sha256(folder / WEIGHTS) != config.get("sha256"):
        raise InputError(
            f"{folder / WEIGHTS} is damaged, or does not belong to the {CONFIG} beside it, whose checksum it does "
            "not have: get both again."
        )
    model = Crosscoder.load(folder / WEIGHTS)
    for key, value in to_json(describe(model)).items():
        if config.get(key) != value:
            raise InputError(
                f"{folder / CONFIG} says {key} {json.dumps(config.get(key))}, but the weights beside it have "
                f"{json.dumps(value)}: get both again."
            )
    return model


def describe(model: Crosscoder) -> dict[str, Any]:
    """What must be known of a model to use its arrays, for config.json.

    Returns
    -------
    model_type and format; sources, names in the order of the model; widths, columns of raw rows by source, and
    kept, how many of them the model sees; n_latents, k; tied, whether the decoder encodes as well; activation, how
    latents are chosen; normalization by source, without what is an array; live_latents (None: not known).
    """
    return {
        "model_type": MODEL_TYPE,
        "format": FORMAT,
        "sources": list(model.weights),
        "widths": model.widths,
        "kept": {source: len(weights) for source, weights in model.weights.items()},
        "n_latents": model.n_latents,
        "k": model.k,
        "tied": model.encoder is None,
        "activation": {
            "kind": "top k" if model.threshold is None else "above threshold",
            "threshold": model.threshold,
            "select_by": model.select_by,
            "relu": model.relu,
        },
        "normalization": {
            source: {"standardize": of.standardize, "mean_norm": of.mean_norm}
            for source, of in model.normalization.items()
        },
        "live_latents": None if model.alive is None else int(model.alive.sum()),
    }


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({one_line(error)}): get it again.") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != MODEL_TYPE:
        raise InputError(
            f"{path} describes another kind of model ({kind or 'it does not say which'}), and no crosscoder of "
            "brainlm."
        )
    if config.get("format") != FORMAT:
        raise InputError(
            f"{path} is of the format {config.get('format')!r}, but this version of brainlm reads {FORMAT!r}: "
            "install the version that is named there under trained_on, software."
        )
    return config


def _is_replaceable(folder: Path) -> bool:
    """Whether there is nothing, or what `save_pretrained` wrote and nothing else."""
    if not folder.is_dir():
        return not folder.exists()
    names = {path.name for path in folder.iterdir()}
    if not names or not names <= {WEIGHTS, CONFIG, CARD}:
        return not names
    try:
        return bool(_read_config(folder / CONFIG))
    except InputError:
        return False


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None
