"""What a plan asks of a dataset that has too little for it: known before any job, from the lengths of recordings."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from brainlm.errors import TooLittleDataError
from brainlm.lm.nuisances import nuisance_names
from brainlm.resample import tr_midpoints
from brainlm.scores.evidence.nuisances import ROWS_A_NUISANCE
from brainlm.scores.shifts import n_shifts, require_shifts_to_match
from pipeline.config import Plan
from pipeline.experiments import STANDING_EXPERIMENTS, Model

BEFORE_THE_SOUND = 1 / 10
"""Share of the times that rows look back to which may lie before the sound, where no words are, without a word."""
_SIZES = {
    "n_latents": "a latent has less than one TR to learn from",
    "batch_size": "an epoch is a single step",
}


def compared_subjects(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of subjects, and a subject with itself, whose models are searched for each other's latents."""
    with_itself = [(subject, subject) for subject in config["subjects"] if len(config["seeds"]) > 1]
    return with_itself + list(combinations(config["subjects"], 2))


def shown_partners(config: Mapping[str, Any], subject: str) -> list[Model]:
    """Models that the reported one was compared with and whose maps are shown beside its own: one of the next seed,
    and one of another subject, as `brainlm.scores.stability.pairs_of_subjects` pairs them."""
    seeds, partners = config["seeds"], []
    for one, other in compared_subjects(config):
        if subject in (one, other):
            # A model of the first is compared with the next seed of the second: the last with the second's first.
            partner, seed = (other, seeds[1 % len(seeds)]) if subject == one else (one, seeds[-1])
            partners.append(Model(partner, "matched", seed))
    same, others = (
        [model for model in partners if (model.subject == subject) is own] for own in (True, False)
    )
    return [*same, *others[:1]]


def impossible(plan: Plan, rows: Mapping[str, int]) -> list[str]:
    """Sentences on what would stop a run at its end, or leave nothing to learn from, for want of data.

    Parameters
    ----------
    rows: from `Dataset.rows_of`; without them only what the numbers of stories tell is found.
    """
    return [
        *_too_few_to_fold(plan),
        *(
            sentence
            for check in (_no_shift, _no_words, _too_many_nuisances)
            for sentence in check(plan, rows)
        ),
    ]


def doubtful(plan: Plan, rows: Mapping[str, int]) -> list[str]:
    """Sentences on what a run can do, but with results that say little; parameters as of `impossible`."""
    checks = (_nothing_significant, _not_compared, _before_the_sound, _few_training_rows)
    return [sentence for check in checks if rows for sentence in check(plan, rows)]


def _too_few_to_fold(plan: Plan) -> Iterator[str]:
    n_folds = plan.config["ridge"]["n_folds"]
    n_stories = {subject: len(plan.subject_stories[subject]["train"]) for subject in plan.config["subjects"]}
    alone = [subject for subject, number in n_stories.items() if number < 2]
    if alone:
        yield (
            f"{_named(alone)} has one training story, but ridge regression, the baseline, needs two or more to "
            "choose its penalties: move another story to the split train."
        )
    few = {subject: number for subject, number in n_stories.items() if 2 <= number < n_folds}
    if few:
        fewest = min(few.values())
        yield (
            f"Config: ridge.n_folds is {n_folds}, but {_fewest_first(few)} has {fewest} training stories, and "
            f"folds are of whole stories: give {fewest} at most."
        )


def _no_shift(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    minimum_shift, n_rows = _minimum_shift(plan), _rows_of_split(plan, rows, "test")
    few = {subject: number for subject, number in n_rows.items() if not n_shifts(number, minimum_shift)}
    if few:
        yield (
            f"Config: scores.minimum_shift_s is {plan.config['scores']['minimum_shift_s']:g} s, but the "
            f"{min(few.values())} test TRs of {_fewest_first(few)} leave no circular shift of at least "
            f"{minimum_shift} TRs for a null: use more or longer test stories, or lower it."
        )


def _no_words(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    if not rows:
        return
    for delays_s, models in _models_by_delays(plan).items():
        last_s = {
            model.subject: max(
                float(_times(plan, story, rows[story])[-1])
                for story in plan.subject_stories[model.subject]["train"]
            )
            for model in models
        }
        beyond = {subject: time_s for subject, time_s in last_s.items() if max(delays_s) > time_s}
        if beyond:
            yield (
                f"Config: features.delays_s has {max(delays_s):g} s (experiment '{models[0].experiment}'), but the "
                f"last training TR of {_fewest_first(beyond)} is {min(beyond.values()):g} s after the sound's "
                "onset, so that none has words so long before it: give delays in seconds."
            )


def _too_many_nuisances(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    test, validation = (_rows_of_split(plan, rows, split) for split in ("test", "validation"))
    n_rows = {subject: n + validation[subject] for subject, n in test.items()}
    for delays_s, models in _models_by_delays(plan).items():
        n_nuisances = len(nuisance_names(delays_s))
        asked = [model for model in models if model.experiment in STANDING_EXPERIMENTS]
        of_models = {model.subject: n_rows[model.subject] for model in asked if n_rows}
        few = {subject: n for subject, n in of_models.items() if n < ROWS_A_NUISANCE * n_nuisances}
        if few:
            yield (
                f"The evidence of a latent leaves out {n_nuisances} nuisances, two for each of features.delays_s "
                f"(experiment '{asked[0].experiment}') and four others, which needs {ROWS_A_NUISANCE} held-out TRs "
                f"for each, but {_fewest_first(few)} has {min(few.values())} test and validation TRs: use more or "
                "longer test and validation stories, or fewer delays."
            )


def _nothing_significant(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    minimum_shift, level = _minimum_shift(plan), plan.config["scores"]["false_discovery_rate"]
    n_rows = _rows_of_split(plan, rows, "test")
    # No p-value of a null of n shifts is below 1 / (1 + n), and none above the level is ever a discovery.
    few = {subject: n for subject, n in n_rows.items() if 1 / (1 + n_shifts(n, minimum_shift)) > level}
    if few:
        n_fewest = min(few.values())
        yield (
            f"In {_fewest_first(few)} no latent's agreement can be significant at scores.false_discovery_rate "
            f"{level:g}: {n_fewest} test TRs leave {n_shifts(n_fewest, minimum_shift)} circular shifts of at least "
            f"{minimum_shift} TRs (scores.minimum_shift_s). Use more or longer test stories."
        )


def _not_compared(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    pairs, reasons = compared_subjects(plan.config), {}
    for subject, other in pairs:
        common = set(plan.subject_stories[subject]["test"]) & set(plan.subject_stories[other]["test"])
        try:
            require_shifts_to_match(sum(rows[story] for story in common), _minimum_shift(plan))
        except TooLittleDataError as reason:
            pair = f"'{subject}' with other seeds" if subject == other else f"'{subject}' and '{other}'"
            reasons[pair] = str(reason)
    if reasons:
        pair, reason = next(iter(reasons.items()))
        others = f" ({len(reasons)} of {len(pairs)} such comparisons)" if len(pairs) > 1 else ""
        yield f"The figure stability cannot compare the latents of {pair}{others}: {reason}"


def _before_the_sound(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    # What was said before a segment is context, whatever its rows look back to.
    stories = [story for story in plan.all_stories if plan.text_of(story) == story]
    times_s = np.concatenate([_times(plan, story, rows[story]) for story in stories] or [np.empty(0)])
    for delays_s, models in _models_by_delays(plan).items():
        share = np.mean(times_s[:, None] < np.array(delays_s)) if times_s.size else 0
        if share > BEFORE_THE_SOUND:
            yield (
                f"{100 * share:.0f} % of the times that rows look back to by features.delays_s (experiment "
                f"'{models[0].experiment}') lie before the sound's onset, where no words are: a story's first TR is "
                f"{times_s.min():g} s after it. Give shorter delays, or leave out first TRs (dataset.trim.first, and "
                "rows of the responses)."
            )


def _few_training_rows(plan: Plan, rows: Mapping[str, int]) -> Iterator[str]:
    n_rows = _rows_of_split(plan, rows, "train")
    for key, consequence in _SIZES.items():
        too_large: dict[int, list[Model]] = {}
        for model in plan.models:
            size = plan.experiments[model.experiment]["crosscoder"][key]
            if size > n_rows[model.subject]:
                too_large.setdefault(size, []).append(model)
        for size, models in too_large.items():
            few = {model.subject: n_rows[model.subject] for model in models}
            yield (
                f"crosscoder.{key} is {size} (experiment '{models[0].experiment}'), but {_fewest_first(few)} has "
                f"{min(few.values())} training TRs, so that {consequence}: lower it."
            )


def _minimum_shift(plan: Plan) -> int:
    """TRs."""
    return math.ceil(plan.config["scores"]["minimum_shift_s"] / plan.config["dataset"]["tr_s"])


def _rows_of_split(plan: Plan, rows: Mapping[str, int], split: str) -> dict[str, int]:
    """Subject or group -> TRs of its stories of the split."""
    if not rows:
        return {}
    return {
        subject: sum(rows[story] for story in stories[split])
        for subject, stories in plan.subject_stories.items()
    }


def _times(plan: Plan, story: str, n_rows: int) -> np.ndarray:
    """(time,) s after the sound's onset."""
    dataset = plan.config["dataset"]
    return tr_midpoints(
        n_rows,
        tr_s=dataset["tr_s"],
        sound_onset_s=plan.sound_onset_s(story),
        first_tr=dataset["trim"]["first"],
    )


def _models_by_delays(plan: Plan) -> dict[tuple[float, ...], list[Model]]:
    found: dict[tuple[float, ...], list[Model]] = {}
    for model in plan.models:
        delays_s = plan.experiments[model.experiment]["features"]["delays_s"]
        found.setdefault(tuple(delays_s), []).append(model)
    return found


def _fewest_first(few: Mapping[str, float]) -> str:
    return _named(sorted(few, key=few.__getitem__))


def _named(subjects: Sequence[str]) -> str:
    """The first subject, and how many others there are."""
    others = len(subjects) - 1
    return f"'{subjects[0]}'" + (f" (and {others} other{'s' * (others > 1)})" if others else "")
