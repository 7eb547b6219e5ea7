"""What the page of one latent says, as plain values that a template lays out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brainlm.report.browser.answers import Answer, FoundAgain, answers, class_in_words
from brainlm.report.browser.areas import Area
from brainlm.report.browser.choice import resemblance
from brainlm.report.browser.course import Course
from brainlm.report.browser.maps import Picture
from brainlm.report.browser.nearest import activation_correlations, decoder_cosines, nearest
from brainlm.report.browser.run import Recordings, Tables, Titles
from brainlm.report.browser.said import (
    PassageGroup,
    chosen_rows,
    course_of,
    passage_groups,
    strongest_rows,
)
from brainlm.report.browser.verdict_words import name_of, sentence
from brainlm.report.write import formatted
from brainlm.scores.evidence.verdict import labels

_BEFORE_DELAYS_TRS = 2
"""How many TRs before its longest delay a passage begins: what is heard earlier is hardly in a TR's row."""


@dataclass(frozen=True)
class Heading:
    """How a latent is called wherever it is named."""

    latent: int
    name: str
    """"" if it has none."""
    verdict: str
    """With its qualifier."""

    @property
    def page(self) -> str:
        """The file of its page."""
        return f"{self.latent}.html"


@dataclass(frozen=True)
class Neighbour:
    """A latent that is like another."""

    heading: Heading
    similarity: str


@dataclass(frozen=True)
class Page:
    """The page of a latent."""

    heading: Heading
    name_detail: str
    sentence: str
    """What the verdict says."""
    r: str
    class_name: str
    previous: Heading | None
    following: Heading | None
    pictures: tuple[Picture, ...]
    answers: tuple[Answer, ...]
    found: FoundAgain
    said: tuple[PassageGroup, ...]
    course: Course | None
    areas: tuple[Area, ...]
    by_decoder: tuple[Neighbour, ...]
    by_activation: tuple[Neighbour, ...]
    code: tuple[str, ...]
    """Lines of Python that load its weights."""
    downloads: tuple[tuple[str, str], ...]
    """Title and file of each."""


def headings(tables: Tables) -> dict[int, Heading]:
    """Live latent -> how it is called, in order."""
    of_latents = zip(tables.live["latent"].tolist(), labels(tables.live), strict=True)
    return {
        latent: Heading(latent, name_of(tables.names, latent)[0], verdict) for latent, verdict in of_latents
    }


def reach_s(titles: Titles, recordings: Recordings) -> float:
    """How long before its TR a passage begins, s."""
    tr_s = float(np.diff(recordings.stories[0].time_s).mean())
    return max(titles.delays_s) + _BEFORE_DELAYS_TRS * tr_s


def latent_pages(
    titles: Titles,
    tables: Tables,
    recordings: Recordings,
    decoders: Mapping[str, np.ndarray],
    *,
    areas: Mapping[int, Sequence[Area]],
    pictures: Mapping[int, Sequence[Picture]],
    downloads: Mapping[int, Sequence[tuple[str, str]]],
) -> Iterator[Page]:
    """The page of each live latent, in order.

    Parameters
    ----------
    decoders: source -> (width, latent) float32 decoder weights, of the brain and the LM.
    areas: latent -> where it acts.
    pictures: latent -> its map, and those of its partners.
    downloads: latent -> title and file of each; latents without any may be left out.
    """
    named, live = headings(tables), tables.live["latent"].to_numpy()
    around = [None, *named.values(), None]
    alike, reach = resemblance(recordings.activation), reach_s(titles, recordings)
    passages = dict(tuple(tables.passages.groupby("latent")))
    similarities = (decoder_cosines(decoders), activation_correlations(recordings.activation))
    by_decoder, by_activation = (nearest(similar[np.ix_(live, live)]) for similar in similarities)

    def neighbours(similar: Sequence[tuple[int, float]]) -> tuple[Neighbour, ...]:
        return tuple(Neighbour(named[int(live[other])], formatted(value, ".2f")) for other, value in similar)

    for place, row in enumerate(tables.live.to_dict("records")):
        latent = row["latent"]
        heading, found = named[latent], found_elsewhere(tables, titles.subject, latent)
        strongest = strongest_rows(passages[latent], recordings) if latent in passages else []
        choice = chosen_rows(latent, alike[:, latent], recordings, strongest, reach_s=reach)
        yield Page(
            heading=heading,
            name_detail=name_of(tables.names, latent)[1],
            sentence=sentence(heading.verdict, row["reason"]),
            r=formatted(row["r"], ".2f"),
            class_name=class_in_words(row["class"]),
            previous=around[place],
            following=around[place + 2],
            pictures=tuple(pictures[latent]),
            answers=tuple(answers(row, tables.live, tables.summary, found, r0=tables.r0)),
            found=found,
            said=passage_groups(latent, choice, recordings, reach_s=reach),
            course=course_of(latent, choice, recordings, place),
            areas=tuple(areas[latent]),
            by_decoder=neighbours(by_decoder[place]),
            by_activation=neighbours(by_activation[place]),
            code=_code(titles, latent),
            downloads=tuple(downloads.get(latent, ())),
        )


def found_elsewhere(tables: Tables, subject: str, latent: int) -> FoundAgain:
    """In how many other models a latent of a subject is found again."""
    seeds = tables.found_in_seeds[tables.found_in_seeds["latent"] == latent]
    again = tables.found_again[tables.found_again["latent"] == latent]
    others = again[again["other_subject"] != subject]
    in_seeds = seeds.iloc[0] if len(seeds) and seeds["n_seeds"].iloc[0] > 0 else None
    return FoundAgain(
        n_seeds=0 if in_seeds is None else int(in_seeds["n_seeds"]),
        n_found=0 if in_seeds is None else int(in_seeds["n_found"]),
        n_same_verdict=0 if in_seeds is None else int(in_seeds["n_same_verdict"]),
        n_subjects=len(others),
        n_found_in_subjects=int(others["found"].astype(bool).sum()),
    )


def _code(titles: Titles, latent: int) -> tuple[str, ...]:
    return (
        "from brainlm import Crosscoder",
        f'model = Crosscoder.load("{titles.model_file}")',
        f'weights = model.weights["{titles.source}"][:, {latent}]',
    )
