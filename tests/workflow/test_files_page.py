"""docs/reference/files.md has all files that a run writes, the columns of tables and the arrays of stores."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
import zarr

from brainlm.data.check import COLUMNS as DATASET_COLUMNS
from brainlm.report.pairings import pairings_table
from brainlm.report.paper import PAPER_NUMBERS, ReadingResults, distance_table
from brainlm.rows.codes import StoryCode
from brainlm.scores.evidence.tallies import LIVE_LABELS
from brainlm.scores.latents import CLASSES
from brainlm.scores.stability import EncodedModel, compare_pairs
from pipeline.config import make_plan
from tiny_dataset import REPOSITORY, Workspace

PAGE = (REPOSITORY / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
NAMES = {"source": ("brain", "lm"), "class": CLASSES, "verdict": LIVE_LABELS}
"""What stands for what in the names of columns and arrays."""
OF_EACH = {".md": ".tsv", ".html": ".tsv", ".pdf": ".tsv", ".png": ".tsv"}
"""A figure and a table are described once, by their numbers."""


@dataclass(frozen=True)
class Described:
    """A file of the page."""

    path: str
    needed: frozenset[str]
    """Columns, or arrays, that are always there."""
    conditional: frozenset[str]
    """Those that are there if something is so."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the paths of such files look like; of a folder, those of all below it."""
        parts = re.split(r"<\w+>", self.path)
        return re.compile("[^/]+".join(map(re.escape, parts)) + ".*" * self.path.endswith("/"))


def spelt_out(name: str) -> set[str]:
    """A column's name with all that its placeholder stands for."""
    kinds = [kind for kind in NAMES if f"<{kind}>" in name]
    found = set()
    for values in product(*(NAMES[kind] for kind in kinds)):
        full = name
        for kind, value in zip(kinds, values, strict=True):
            full = full.replace(f"<{kind}>", value)
        found.add(full)
    return found


def described() -> list[Described]:
    files = []
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        needed, conditional = set(), set()
        for row in re.findall(r"^\| (`.*)\|$", section, re.MULTILINE):
            names, *rest = re.split(r"(?<!\\)\|", row)
            told = conditional if rest[-1].strip().startswith("if ") else needed
            for name in re.findall(r"`([^`]+)`", names):
                told |= spelt_out(name.replace(r"\|", "|"))
        files.append(
            Described(re.match("`(.*)`", section)[1], frozenset(needed), frozenset(conditional - needed))
        )
    return files


DESCRIBED = described()


def file_of_page(path: str) -> Described:
    """The most literal of those that it may be."""
    found = [of for of in DESCRIBED if of.pattern.fullmatch(path)]
    return max(found, key=lambda of: len(re.sub(r"<\w+>", "", of.path)))


def written(results: Path) -> Iterable[tuple[str, Path]]:
    """Path below the results, and path, of every file, and of every store as a whole."""
    for parent, names, files in os.walk(results):
        stores = [name for name in names if name.endswith(".zarr")]
        names[:] = [name for name in names if name not in stores]
        for name in [*stores, *files]:
            if name != ".snakemake_timestamp":
                path = Path(parent, name)
                yield path.relative_to(results).as_posix(), path


def assert_told(path: str, names: Iterable[str]) -> None:
    of, names = file_of_page(path), list(names)
    assert sorted(of.needed - set(names)) == [], f"{path} lacks what the page says it has"
    assert sorted(set(names) - of.needed - of.conditional) == [], f"{path} has what the page does not say"


def arrays_of(store: Path) -> list[str]:
    group = zarr.open_group(store, mode="r")
    return [name for name, member in group.members(max_depth=None) if isinstance(member, zarr.Array)]


def test_no_file_is_described_twice():
    paths = [of.path for of in DESCRIBED]
    assert len(set(paths)) == len(paths) > 50


def test_every_file_of_a_run_is_on_the_page(tiny: Workspace):
    unknown = []
    for path, _ in written(tiny.results):
        shown = str(Path(path).with_suffix(OF_EACH.get(Path(path).suffix, Path(path).suffix)))
        if not any(of.pattern.fullmatch(name) for of in DESCRIBED for name in (path, shown)):
            unknown.append(path)
    assert unknown == []


def test_every_table_has_the_columns_that_the_page_says(tiny: Workspace):
    tables = [(name, path) for name, path in written(tiny.results) if path.suffix == ".tsv"]
    tables = [(name, path) for name, path in tables if not name.startswith("ds003020/")]
    assert len(tables) > 40
    for name, path in tables:
        assert_told(name, pd.read_csv(path, sep="\t", nrows=0).columns)


def test_every_store_has_the_arrays_and_axes_that_the_page_says(tiny: Workspace):
    stores = [(name, path) for name, path in written(tiny.results) if path.suffix == ".zarr"]
    assert len(stores) > 20
    for name, path in stores:
        assert_told(name, arrays_of(path))


def encoded(subject: str, seed: int) -> EncodedModel:
    """A model with random codes of 300 TRs."""
    random = np.random.default_rng(seed)
    latents = np.stack([random.permutation(6)[:2] for _ in range(300)]).astype(np.int32)
    code = StoryCode(random.random((300, 2), np.float32), latents, np.arange(300.0), 6)
    return EncodedModel(
        subject, seed, {"river": code}, pd.DataFrame({"class": ["shared"] * 6, "alive": [True] * 6})
    )


def test_what_a_single_small_model_does_not_write_is_told_as_it_is_made():
    by_class, by_latent = compare_pairs([(encoded("S1", 0), encoded("S1", 1))], minimum_shift=5)
    assert_told("comparisons/S1/S1.tsv", by_class.columns)
    assert_told("comparisons/S1/S1.latents.tsv", by_latent.columns)
    assert_told("figures/stability.tsv", by_class.columns)
    assert_told("tables/dataset.tsv", DATASET_COLUMNS)
    shares = pd.DataFrame({"source": ["brain"], "share_shared": [0.5]})
    assert_told("tables/S1/pairings.tsv", pairings_table(shares, {"shuffled": shares}).columns)
    choices = (
        make_plan(yaml.safe_load((REPOSITORY / "config" / "paper.yaml").read_text())).readings[0].choices
    )
    runs = pd.DataFrame({number.column: [0.5, 0.6] for number in PAPER_NUMBERS})
    assert_told("tables/S1/readings.tsv", distance_table([ReadingResults(choices, runs, runs)]).columns)
