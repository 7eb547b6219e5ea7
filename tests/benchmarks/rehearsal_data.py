"""A subject of ds003020 in its full size and layout, with generated content, a language model, and a config for both.

Every file has the shape and the type of the real one. Responses are noise and a few smooth signals; words are those
of the demo's stories, spoken at the rate of the dataset's; the cortex is pycortex's subject S1; the language model
has one block with random weights.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import nibabel
import numpy as np
import pandas as pd
import tokenizers
import torch
import transformers
import yaml
from scipy.ndimage import gaussian_filter1d, uniform_filter
from tqdm import tqdm

from brainlm import textgrid
from brainlm.files import whole_file
from brainlm.simulation.anatomy import write_simulated_anatomy
from brainlm.simulation.stories import read_annotated, speak

CONFIG = Path(__file__).parents[2] / "config"
NAME, SUBJECT, TRANSFORM, LM = "rehearsal", "UTS03", "UTS03_auto", "random-llama"
N_VOXELS, HIDDEN = 95_556, 4096
REPEATED_STORY, N_REPEATS = "wheretheressmoke", 10
LEAST_STORIES = {"train": 3, "validation": 1, "test": 2, "unused": 0}
TR_S, SOUND_ONSET_S, TRIMMED_TRS = 2, 10, 20
SILENCE_S = 8
WORDS_PER_S = 2.3
TOKENS_A_WORD = 1.5
N_SIGNALS = 5
# The language model, the anatomy, the cortex, figures, logs.
OTHER_BYTES = 500_000_000
# Of S1's cortex as pycortex's `thick` mask has it; found to differ by less than 1 % from 12 to 2.5 mm.
CORTEX_MM3 = 1.67e6


@dataclass(frozen=True)
class Size:
    """How large the subject is."""

    scale: float
    n_voxels: int
    hidden: int
    """hidden dimensions of the language model"""
    n_rows: dict[str, int]
    """story -> TRs of its response"""
    split: dict[str, str]
    """story -> train, validation, test or unused"""

    def stories(self, split: str) -> list[str]:
        """The split's stories."""
        return [story for story, of in self.split.items() if of == split]

    def rows_in(self, *splits: str) -> int:
        """TRs of some splits together."""
        return sum(self.n_rows[story] for split in splits for story in self.stories(split))


def size_of(scale: float) -> Size:
    """A subject of full size, or with a share of its voxels, hidden dimensions and stories.

    Stories keep their length; there are 3 for training, 1 for validation and 2 for testing at least, and the one that
    was heard several times is always among them.
    """
    table = pd.read_csv(CONFIG / "ds003020" / "stories.tsv", sep="\t")
    number = {
        split: max(LEAST_STORIES[split], round(scale * count))
        for split, count in table["split"].value_counts().items()
    }
    repeated_first = table.sort_values("story", key=lambda story: story != REPEATED_STORY, kind="stable")
    chosen = {
        story for split, of in repeated_first.groupby("split") for story in of["story"][: number[split]]
    }
    kept, n_rows = table[table["story"].isin(chosen)], rows_of_stories()
    return Size(
        scale=scale,
        n_voxels=round(scale * N_VOXELS),
        hidden=max(64, 64 * round(scale * HIDDEN / 64)),
        n_rows={story: n_rows[story] for story in kept["story"]},
        split=dict(zip(kept["story"], kept["split"], strict=True)),
    )


def rows_of_stories() -> dict[str, int]:
    """Story -> TRs of the subject's response, from the size of its file: float64, and a header far below one row."""
    manifest = pd.read_csv(CONFIG / "ds003020" / "manifest.tsv", sep="\t")
    files = manifest[manifest["path"].str.match(f"derivative/preprocessed_data/{SUBJECT}/.*hf5$")]
    rows = {Path(file.path).stem: file.bytes // (8 * N_VOXELS) for file in files.itertuples()}
    # Besides the mean of all hearings the file holds each of them.
    return rows | {REPEATED_STORY: rows[REPEATED_STORY] // (N_REPEATS + 1)}


def configuration(work: Path, size: Size) -> dict[str, Any]:
    """The paper's config, for what is generated in `work`, with one epoch and one penalty of ridge regression."""
    config = yaml.safe_load((CONFIG / "paper.yaml").read_text(encoding="utf-8"))
    config["dataset"] |= {
        "name": NAME,
        "source": "local",
        "root": str(work / "ds003020"),
        "stories": str(work / "stories.tsv"),
    }
    config["subjects"] = [SUBJECT]
    config["language_model"] |= {"name": LM, "path_or_hub_id": str(work / LM), "blocks": [1]}
    config["features"]["block"] = 1
    config["crosscoder"]["epochs"] = 1
    config["ridge"] |= {"n_folds": 2, "penalties": {"lowest": 1e4, "highest": 1e4, "n": 1}}
    config["figures"]["flatmap_height"] = max(96, round(size.scale * config["figures"]["flatmap_height"]))
    return config


def generate(work: Path, size: Size) -> None:
    """Write dataset, language model and config; files of the first two that are there are complete, and stay."""
    write_dataset(work / "ds003020", size)
    write_language_model(work / LM, size.hidden)
    pd.Series(size.split, name="split").rename_axis("story").to_csv(work / "stories.tsv", sep="\t")
    (work / "config.yaml").write_text(yaml.safe_dump(configuration(work, size)), encoding="utf-8")


def bytes_needed(size: Size) -> int:
    """What the dataset and a run's results take on the disk, about; compression, which gains a tenth, is left out."""
    n_latents = configuration(Path(), size)["crosscoder"]["n_latents"]
    n_brain = (sum(size.n_rows.values()) + N_REPEATS * size.n_rows[REPEATED_STORY]) * size.n_voxels
    n_words = WORDS_PER_S * TR_S * sum(size.n_rows.values())
    n_lm = size.hidden * (TOKENS_A_WORD * n_words + sum(size.n_rows.values()))
    # Three models, and one checkpoint, which holds the weights three times, or ridge regression's copy of responses.
    n_weights = n_latents * (size.n_voxels + size.hidden)
    n_unfinished = max(3 * n_weights, size.rows_in("train") * size.n_voxels)
    return round(8 * n_brain + 4 * (n_brain + n_lm + 3 * n_weights + n_unfinished)) + OTHER_BYTES


def write_dataset(root: Path, size: Size) -> None:
    """Write the files of the dataset that are not below `root` yet."""
    derivative = root / "derivative"
    responses, textgrids = derivative / "preprocessed_data" / SUBJECT, derivative / "TextGrids"
    for folder in (responses, textgrids):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(derivative / "respdict.json", {story: n + TRIMMED_TRS for story, n in size.n_rows.items()})
    write_json(derivative / "subject_xfms.json", {SUBJECT: TRANSFORM})
    write_anatomy(derivative / "pycortex-db", size.n_voxels)
    text = demo_text()
    maps = np.random.default_rng(0).standard_normal((N_SIGNALS, size.n_voxels), dtype=np.float32)
    for story, n_rows in tqdm(size.n_rows.items(), unit="story", desc="generating"):
        of_words, of_responses = (np.random.default_rng([number, *story.encode()]) for number in (0, 1))
        if not (path := textgrids / f"{story}.TextGrid").exists():
            with whole_file(path) as partial:
                write_words(partial, text, n_rows, of_words)
        if not (path := responses / f"{story}.hf5").exists():
            with whole_file(path) as partial:
                write_responses(
                    partial, n_rows, maps, of_responses, N_REPEATS if story == REPEATED_STORY else 1
                )


def write_json(path: Path, content: dict[str, int] | dict[str, str]) -> None:
    """Write a small file, unless it is there: Snakemake would do again what depends on it."""
    if not path.exists():
        with whole_file(path) as partial:
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")


def demo_text() -> pd.DataFrame:
    """All words of the demo's stories, one after the other: columns word, theme, pause."""
    files = sorted((CONFIG / "stories").glob("*.txt"))
    return pd.concat([read_annotated(file) for file in files], ignore_index=True)


def write_words(path: Path, text: pd.DataFrame, n_rows: int, random: np.random.Generator) -> None:
    """A TextGrid of words that last as long as the sound of a story with `n_rows` TRs."""
    sound_s = TR_S * (n_rows + TRIMMED_TRS) - SOUND_ONSET_S - SILENCE_S
    n_words = round(WORDS_PER_S * sound_s)
    words = text.iloc[(random.integers(len(text)) + np.arange(n_words)) % len(text)].reset_index(drop=True)
    told = speak(words, random, words_per_minute=60 * WORDS_PER_S).rename(columns={"word": "label"})
    # Phones are not generated: "spn", spoken noise, stands for those of a word.
    textgrid.write_textgrid(
        path, {"phone": told.assign(label="spn"), "word": told}, told["offset_s"].iloc[-1] + 0.5
    )


def write_responses(
    path: Path, n_rows: int, maps: np.ndarray, random: np.random.Generator, n_repeats: int
) -> None:
    """A story's HDF5 file; one hearing is in memory at a time.

    `data` (time, voxel) is float64; one hearing's is z-scored by voxel. Of several, `data` is the mean, and
    `individual_repeats` (repeat, time, voxel) holds them.

    Parameters
    ----------
    maps: (signal, voxel) float32, of the smooth signals that are the same in every hearing.
    """
    signals = gaussian_filter1d(random.standard_normal((n_rows, len(maps))), 2, axis=0)
    signals *= 0.5 / np.sqrt(len(maps)) / signals.std(axis=0)
    shape = (n_rows, maps.shape[1])
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", shape, np.float64)
        if n_repeats > 1:
            repeats = file.create_dataset("individual_repeats", (n_repeats, *shape), np.float64)
        mean = np.zeros(shape, np.float32)
        for repeat in range(n_repeats):
            bold = random.standard_normal(shape, dtype=np.float32)
            bold += signals.astype(np.float32) @ maps
            bold -= bold.mean(axis=0)
            bold /= bold.std(axis=0)
            if n_repeats > 1:
                repeats[repeat] = bold
            mean += bold / np.float32(n_repeats)
        data[...] = mean
        file.attrs["simulated"] = True


def write_anatomy(pycortex_db: Path, n_voxels: int) -> None:
    """S1 in place of the subject, scanned so that `n_voxels` lie in its mask: those with the fewest neighbours go."""
    if (pycortex_db / SUBJECT).exists():
        return
    pycortex_db.mkdir(exist_ok=True)
    voxel_size_mm, n_found = (CORTEX_MM3 / n_voxels) ** (1 / 3), 0
    while n_found < n_voxels:
        with TemporaryDirectory(dir=pycortex_db) as scratch:
            n_found = write_simulated_anatomy(Path(scratch), SUBJECT, voxel_size_mm)
            if n_found >= n_voxels:
                path = Path(scratch, SUBJECT, "transforms", TRANSFORM, "mask_thick.nii.gz")
                image = nibabel.load(path)
                mask = np.asarray(image.dataobj) > 0
                inside = np.flatnonzero(mask)
                neighbours = uniform_filter(mask.astype(float), 3).ravel()[inside]
                outermost = inside[np.argsort(neighbours, kind="stable")[: n_found - n_voxels]]
                mask[np.unravel_index(outermost, mask.shape)] = False
                nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), image.affine), path)
                Path(scratch, SUBJECT).rename(pycortex_db / SUBJECT)
        voxel_size_mm *= 0.99


def write_language_model(folder: Path, hidden: int) -> None:
    """A Llama with one block of the wanted width and random weights, a tiny MLP and a small vocabulary."""
    if folder.exists():
        return
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(demo_text()["word"])], trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", clean_up_tokenization_spaces=False
    )
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=hidden // 64,
        num_key_value_heads=1,
        max_position_embeddings=131_072,
        bos_token_id=fast.bos_token_id,
        eos_token_id=None,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as scratch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unfinished = Path(scratch, folder.name)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(unfinished)
        fast.save_pretrained(unfinished)
        unfinished.rename(folder)
