"""Every setting of a config, once: its name, default, what it may be, and what config/README.md says of it.

A dataclass is a section. `pipeline.schema` checks configs by them and fills in defaults; `pipeline.reference` writes
the table of config/README.md and config/schema.json, which show the text under a field. A key without a default must
be given, if it is not marked as `NotRequired`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, NotRequired, get_args

from annotated_types import Ge, Gt, Lt, MinLen

from brainlm.cortex.choices import SliceAxis
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.data.bids.choices import STRATEGIES
from brainlm.rows.choices import BrainTime, Standardization
from brainlm.scores.evidence.bounds import VerdictBounds
from pipeline.datasets import SOURCES
from pipeline.schema import UNIQUE, Must, Partial

Names = Annotated[tuple[str, ...], MinLen(1), UNIQUE]
Seed = Annotated[int, Ge(0)]
Seeds = Annotated[tuple[Seed, ...], MinLen(1), UNIQUE]
Booleans = Annotated[tuple[bool, ...], MinLen(1), UNIQUE]
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0)]
TokenTime = Literal["spread", "midpoint"]
WordVector = Literal["last_token", "word_mean"]
Tokens = Literal[TokenTime, WordVector]
_SPACES = "be fsaverage5, fsaverage6, T1w or a template such as MNI152NLin2009cAsym (fsLR is not read yet)"
_CONFOUNDS = (
    f"be {', '.join(STRATEGIES)} or a list of columns of the confounds (no scrubbing, for all rows must stay)"
)
_is_space = re.compile("fsaverage[56]|T1w|MNI[A-Za-z0-9+]+").fullmatch


def _are_confounds(choice: str | tuple[str, ...]) -> bool:
    if isinstance(choice, str):
        return choice in STRATEGIES
    return bool(choice) and not any(column.startswith("motion_outlier") for column in choice)


@dataclass(frozen=True)
class Trim:
    """Volumes cut off the recording in the responses."""

    first: Annotated[int, Ge(0)] = 10
    """Volumes of the recording that the responses lack at its beginning."""
    last: Annotated[int, Ge(0)] = 10
    """Volumes of the recording that the responses lack at its end."""


@dataclass(frozen=True)
class Mask:
    """Which voxels of volumes are read."""

    grey_matter: Annotated[float, Ge(0), Lt(1)] = 0.5
    """Least probability of grey matter."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Only with `source: simulated`."""

    texts: str
    """Folder of annotated stories, `<story>.txt`; this section only with `source: simulated`."""
    seed: Seed = 0
    """Of everything that is simulated."""
    snr: Positive = 1.0
    """Variance of signal over variance of noise, mean over voxels that carry signal."""
    words_per_minute: Positive = 145
    """Speech rate, pauses included."""
    voxel_size_mm: Annotated[float, Ge(2)] = 8.0
    """Edge of the simulated voxels, mm."""
    n_lm_features: Count = 6
    """Planted components of the language model that voxels follow."""
    n_lm_only: Count = 2
    """Planted components of the language model that no voxel follows."""
    n_story_driven: Count = 2
    """Planted features that a story drives at every hearing, unrelated to its text."""
    n_spontaneous: Count = 2
    """Planted features of the brain's own accord, new at every hearing; there are two stripe artefacts besides."""
    repeated_story: str | None = None
    """A test story that is heard several times."""
    n_repeats: Annotated[int, Ge(2)] = 5
    """How many times."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Where the data come from, and how they are read."""

    name: str
    """Results go to `<results>/<name>`."""
    source: Literal[SOURCES]
    """Where the data come from: {sources}."""
    root: str | None = None
    """Folder that holds `derivative/`, with `source: bids` fMRIPrep's output; `null`: `<results>/<name>/ds003020`.
    With `source: openneuro`, files that are there are checked by size and MD5 sum and used, missing ones are
    downloaded into it, a file that differs is an error, and nothing is ever deleted or replaced. Not for a simulated
    dataset, which is written."""
    manifest: str | None = None
    """With `source: openneuro`: table of the dataset's files with size, MD5 sum and version; `null`:
    `config/ds003020/manifest.tsv` of this repository."""
    mirror: Annotated[str, Must(re.compile("https?://").match, "be an address")] = (
        "https://s3.amazonaws.com/openneuro.org/ds003020"
    )
    """With `source: openneuro`: where `derivative/` lies on the network."""
    tr_s: Positive = 2.0
    """Repetition time, s. With `source: bids` the sidecars tell, and another value is refused."""
    sound_onset_s: float = 10.0
    """Onset of the sound, s after the recording's first volume, of all stories whose line in `dataset.stories` does
    not give [its own](#one-recording-several-stories). With `source: bids` it is the column `onset_s` of
    `dataset.stories`, or the onset of the row in events.tsv whose `trial_type` is the story's name, `story`, `sound`
    or `audio`."""
    trim: Trim = Trim()
    non_words: tuple[str, ...] | None = None
    """Labels of transcripts, tables and TextGrids alike, that are no words: see [below](#labels-that-are-no-words);
    `null`: those listed there; `[]`: none but the empty one."""
    words_tier: str | None = None
    """Name of the tier of words, for all TextGrids; `null`: the only interval tier with "word" in its name, in any
    case, and if there is none the second tier."""
    words_without_times: Literal["refuse", "between"] = "refuse"
    """What becomes of words to which an aligner gave no onset and offset (empty cells, `NaN`, `NA`, both -1):
    `refuse`: their lines are named; `between`: they are heard in the gap between the word before and the word after,
    evenly and without length, or with the first or last word of the file that has times, and counted in
    `logs/words/`; a word with one time alone is heard then."""
    stories: str
    """Tab-separated table with columns `story` and `split`: train, validation, test or unused; of a local dataset
    also [`sound_onset_s` and `recording`](#one-recording-several-stories), with `source: bids` also `task` (if it is
    not the story's name), `ses`, `run` and `onset_s`: runs that these leave open are hearings of the story. With
    `source: openneuro`, stories of the manifest. Stories to which a subject has no responses are left out of its
    splits."""
    transcripts: str | None = None
    """With `source: bids`: folder of transcripts, `<story>.TextGrid`, `.tsv` or, as the aligner gentle writes,
    `.csv`; `null`: the folder `transcripts` beside `dataset.stories`. A story without one takes its words from the
    rows of its events.tsv whose `trial_type` is `word`."""
    raw: str | None = None
    """With `source: bids`: the raw dataset, for sidecars that runs inherit and for events.tsv; `null`: none."""
    space: Annotated[str, Must(_is_space, _SPACES)] = "fsaverage5"
    """With `source: bids`: the space of the images that are read: `fsaverage5` or `fsaverage6` (surfaces), `T1w` or a
    template such as `MNI152NLin2009cAsym` (volumes)."""
    res: str | None = None
    """With `source: bids`: resolution of volumes, as in `res-2`; `null`: the only one there is."""
    confounds: Annotated[str | tuple[str, ...], Must(_are_confounds, _CONFOUNDS)] = "simple"
    """With `source: bids`: what is removed from each run, in one step with the mean: `simple` or `compcor`, which are
    nilearn's strategies without the global signal (motion and its derivatives and squares, white matter and CSF or
    anatomical CompCor, fMRIPrep's cosines), a list of columns of the confounds, to which the cosines are added, or
    `none`, for data that have been cleaned. No volumes are scrubbed, for each TR has its words."""
    mask: Mask | None = Mask()
    """With `source: bids`: of volumes in the brain masks of all runs, those that are read: with a probability of grey
    matter of `grey_matter` or more; `null`: all."""
    slice_axis: SliceAxis = "z"
    """Axis of the volume (z, y, x) along which its slices were acquired: the scanner's artefacts differ from slice to
    slice. Not for `source: bids`, whose images are resampled: what of evidence needs slices is not known there."""
    atlas: str | None = None
    """Areas of volumes that `source: bids` reads: an image `.nii.gz` of whole numbers in their space, on any grid,
    beside which lies a table `.tsv` of the same name with the columns `index` and `name`; `null`: none."""
    simulation: NotRequired[Simulation]


@dataclass(frozen=True)
class Context:
    """How much of a story the language model sees at once."""

    window_tokens: Annotated[int | None, Ge(1)] = None
    """Context window in tokens; `null` reads the whole story in one pass."""
    stride_tokens: Annotated[int | None, Ge(1)] = None
    """Tokens by which the window moves."""


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """What reads the stories."""

    name: str
    """Name of its folder under `activations/` and `features/`."""
    path_or_hub_id: str
    """A local folder, a `.gguf` file, a hub name, or `package:<Python package>/<file>`; causal, in float32, float16
    or bfloat16 (or GGUF), without code of its own."""
    revision: str | None = None
    """Revision of a hub repository."""
    blocks: Annotated[tuple[Count, ...], MinLen(1), UNIQUE]
    """Transformer blocks whose output is kept, counted from 1."""
    context: Context = Context()
    stories_per_job: Count = 10
    """Stories, at most, that are read for one loading of the model, and whose words, features and responses one job
    makes. A story that is added or leaves is made with the others of its batch, which its name decides; all other
    batches stay as they are."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` (float32 on a CPU, bfloat16 on a GPU), `float32`, `bfloat16`, `float16`."""
    device: Annotated[
        str,
        Must(re.compile("auto|cpu|cuda(:[0-9]+)?|mps").fullmatch, "be auto, cpu, cuda, cuda:<number> or mps"),
    ] = "auto"
    """`auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:<number>`, `mps`."""


@dataclass(frozen=True)
class Lanczos:
    """From words to TRs."""

    window: Count = 3
    """Lobes of the Lanczos window on each side, in TRs."""
    normalize: bool = False
    """Weighted mean in place of the weighted sum; the sum follows the speech rate."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """From tokens to one row of the language model per TR."""

    token_time: TokenTime = "spread"
    """`spread`: tokens evenly over their word's interval; `midpoint`: all at its middle."""
    unit: Literal["token", WordVector] = "token"
    """`token`: every token; `last_token`, `word_mean`: one vector a word."""
    lanczos: Lanczos = Lanczos()
    delays_s: Annotated[tuple[Annotated[float, Ge(0)], ...], MinLen(1)] = (2, 4, 6, 8)
    """Delays, s, whose mean is taken."""
    block: Count
    """Block that is used, one of `language_model.blocks`."""


@dataclass(frozen=True)
class Scaling:
    """Of one source."""

    standardize: Standardization = "none"
    """`none`, `center` or `zscore`, with training statistics, before the division by the mean norm. **What r means
    depends on it.**"""


@dataclass(frozen=True)
class Normalization:
    """Scaling inside a source, from training stories, before the division by the mean norm."""

    brain: Scaling = Scaling()
    lm: Scaling = Scaling()


@dataclass(frozen=True)
class Pairing:
    """Which brain row goes with which row of the language model."""

    brain_time: BrainTime = "matched"
    """`matched`; `shuffled`: brain rows in random order; `shifted`: turned around in a circle; `noise`: white noise
    in both sources. Other values than `matched` only in an experiment."""
    seed: Seed = 0
    """Of the permutation, the shift or the noise."""


@dataclass(frozen=True)
class SourceWeights:
    """Weight of each source in the loss."""

    brain: Annotated[float, Ge(0)] = 1.0
    """Weight of the brain's squared errors in the loss."""
    lm: Annotated[float, Ge(0)] = 1.0
    """Weight of the language model's squared errors in the loss."""


@dataclass(frozen=True)
class Crosscoder(TrainingSettings):
    """The model and its training."""

    source_weights: SourceWeights = SourceWeights()


@dataclass(frozen=True)
class Training:
    """How models are trained, not which."""

    device: Annotated[
        str,
        Must(re.compile("auto|cpu|cuda(:[0-9]+)?").fullmatch, "be auto, cpu, cuda or cuda:<number>"),
    ] = "auto"
    """`auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:<number>`. A change of `training` re-trains nothing."""
    checkpoint_minutes: Count = 5
    """Minutes between two saves of an unfinished run."""


@dataclass(frozen=True)
class Experiment:
    """A named set of overrides, and which models are trained with it."""

    features: Features
    normalization: Normalization
    pairing: Pairing
    crosscoder: Crosscoder
    subjects: Names
    seeds: Seeds


@dataclass(frozen=True)
class Scores:
    """What tells agreement from chance."""

    minimum_shift_s: Positive = 40
    """Smallest circular shift in the null of agreement and of themes, s."""
    false_discovery_rate: Annotated[float, Gt(0), Lt(1)] = 0.05
    """For significant agreement."""


@dataclass(frozen=True)
class Penalties:
    """Those at an end of the grid tell that it is too narrow."""

    lowest: Positive = 1e1
    """The smallest of the penalties to choose from, which are at equal ratios; one at an end of the grid tells that
    it is too narrow."""
    highest: Positive = 1e8
    """The largest of the penalties to choose from."""
    n: Count = 15
    """How many penalties there are to choose from."""


@dataclass(frozen=True)
class Ridge:
    """Ridge regression from the language model's features to the voxels, the baseline."""

    delays: Literal["mean", "fir"] = "mean"
    """Features of ridge regression, the baseline: `mean` of `features.delays_s`, as the crosscoder sees; `fir`
    (finite impulse response): those of each delay side by side, with weights of their own."""
    n_folds: Annotated[int, Ge(2)] = 5
    """Folds of whole training stories by which ridge regression, the baseline, chooses each voxel's penalty."""
    penalties: Penalties = Penalties()
    batch_voxels: Count = 2000
    """Voxels that ridge regression predicts at a time."""


@dataclass(frozen=True)
class Readings:
    """What the paper leaves open; `snakemake readings` trains all combinations."""

    standardize: Annotated[tuple[Standardization, ...], MinLen(1), UNIQUE] = get_args(Standardization)
    """What the paper leaves open, for `snakemake readings`, which trains all combinations: `normalization` of both
    sources."""
    lanczos_normalize: Booleans = (False, True)
    """`features.lanczos.normalize`."""
    tokens: Annotated[tuple[Tokens, ...], MinLen(1), UNIQUE] = get_args(Tokens)
    """`features.token_time`, or `features.unit`."""
    relu: Booleans = (False, True)
    """`crosscoder.relu`."""
    seeds: Seeds = (0, 1, 2)
    """Seeds of every combination."""
    permutations: Seeds = (0, 1, 2)
    """Seeds of the permutations of every combination; they take the seeds of training in turn."""


@dataclass(frozen=True)
class Passages:
    """What was said when a latent was most active."""

    span_s: Positive = 8
    """Length of a passage before its TR, s."""
    n_passages: Count = 5
    """Passages kept a latent."""


Role = Literal["uninterpretable", "shared", "brain-dominant", "lm-dominant"]


@dataclass(frozen=True)
class Figures:
    """How figures look, and of which latents."""

    weight_colormap: str = "RdBu_r"
    """Of figure 3."""
    correlation_colormap: str = "inferno"
    """Of figure 4."""
    flatmap_height: Annotated[int, Ge(64)] = 512
    """Pixels."""
    pinned_latents: Mapping[Role, Annotated[int, Ge(0)]] = field(default_factory=dict)
    """Latent shown in figure 3 and the tables as `uninterpretable`, `shared`, `brain-dominant` or `lm-dominant`;
    those not pinned are picked by rule."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the Brain-LM crosscoder."""

    results: str = "results"
    """Folder for everything a run writes."""
    dataset: Dataset
    subjects: Names
    """List of subjects, named as below, without dots; with `source: openneuro`, those of the manifest: UTS01 to
    UTS09."""
    groups: Mapping[str, Annotated[tuple[str, ...], MinLen(2), UNIQUE]] = field(default_factory=dict)
    """List of two or more subjects: a joint crosscoder of all of them and the language model, trained like a subject
    called `<name>` on the stories that all members have. Every source has mean norm 1; r compares each brain with
    the language model."""
    language_model: LanguageModel
    features: Features
    normalization: Normalization = Normalization()
    pairing: Pairing = Pairing()
    crosscoder: Crosscoder = Crosscoder()
    training: Training = Training()
    experiments: Mapping[str, Partial[Experiment]] = field(default_factory=dict)
    """Overrides of `features`, `normalization`, `pairing` and `crosscoder`; `subjects` and `seeds` restrict it.
    `matched`, `shuffled` and `shifted` always exist, for all subjects and seeds, and `noise` for all subjects and the
    first seed (or its own `seeds`); anything else but `subjects` and `pairing.brain_time` can be overridden in
    them."""
    pairings: Annotated[int, Ge(0)] = 0
    """How many more `shuffled` and `shifted` models are trained of each subject and group, with the first seed, each
    with a permutation or shift of its own: the null of the share of latents with r near 0, table `pairings`."""
    seeds: Seeds = (0,)
    """Of initial weights, order of rows and draw of dead latents; the first one's models are shown in flatmaps and
    tables 1 and 2."""
    scores: Scores = Scores()
    evidence: VerdictBounds = VerdictBounds()
    ridge: Ridge = Ridge()
    readings: Readings = Readings()
    passages: Passages = Passages()
    themes: Mapping[str, Annotated[tuple[str, ...], MinLen(1)]] = field(default_factory=dict)
    """List of words and phrases (`at night`) that stand for a theme; capitals and the shapes of apostrophes and
    accents make no difference. An entry `lexicon:vader-negative`, `lexicon:vader-positive` or
    `lexicon:geonames-places` stands for the words of a package (`pip install .[lexica]`): rated one point or more
    (Hutto & Gilbert 2014), or names of continents, countries, states of the USA and cities of a million or more. A
    theme of which no test story has a word is named in the run and below the table `interpretations`. A simulated
    dataset takes its annotated spans."""
    figures: Figures = Figures()
