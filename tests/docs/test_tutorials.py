"""docs/tutorials: every cell runs, in order, on small results, and what the text says of them holds."""

import os
import re
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray
from PIL import Image

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv
from brainlm.scores.evidence.verdict import LABELS, VERDICTS
from tests.docs.notebook import REPOSITORY, TUTORIALS, Finished, blocks, cells, run_notebook
from tiny_dataset import REPEATED_STORY, SPLITS, SUBJECT, Workspace

# Snakemake marks the folders that its jobs write with a file of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")

NOTEBOOKS = ("look_at_a_crosscoder", "your_own_data", "add_a_score")
FIGURE = f"results/tiny/figures/{SUBJECT}/dwell.pdf"


def page(name: str) -> str:
    return (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")


def first_cells(text: str, head: str) -> list[str]:
    """What stands in backticks in the first column of the table with this head."""
    rows = re.search(rf"^\| {head} \|.*\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    return [name for row in rows.splitlines() for name in re.findall("`([^`]+)`", row.split("|")[1])]


def pixels(figure: Path) -> np.ndarray:
    """(height, width, 3) int, 0 to 255."""
    return np.asarray(Image.open(figure).convert("RGB")).astype(int)


def n_dark(figure: Path) -> int:
    return int((pixels(figure).min(axis=2) < 100).sum())


def n_coloured(figure: Path) -> int:
    """Pixels that are no grey."""
    return int((np.ptp(pixels(figure), axis=2) > 30).sum())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_tutorial_opens_as_a_notebook_and_says_what_it_needs(name):
    text = page(name)
    front = re.match(r"---\n(.*?)\n---\n\n# ", text, re.DOTALL)[1]
    assert "format_name: myst" in front and "name: python3" in front
    assert re.search(r"^\*Needs\* .*\*Takes\* ", text, re.MULTILINE)
    assert len(cells(text)) > 5


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_formatted_as_all_code_is(name, tmp_path):
    for number, of_cell in enumerate(cells(page(name))):
        (tmp_path / f"{number}.py").write_text(of_cell)
    project = REPOSITORY / "pyproject.toml"
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--diff", "--no-cache", "--config", project, tmp_path],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


def test_the_index_lists_all_tutorials():
    (toctree,) = [block.content for block in blocks(page("index")) if block.language == "{toctree}"]
    listed = [line for line in toctree.splitlines() if line and not line.startswith(":")]
    assert listed == list(NOTEBOOKS)
    assert {path.stem for path in TUTORIALS.glob("*.md")} == {"index", *NOTEBOOKS}


@pytest.mark.parametrize("name", ["index", *NOTEBOOKS])
def test_every_link_and_picture_is_there(name):
    targets = [of for of in re.findall(r"\]\(([^)#]+)", page(name)) if not of.startswith("http")]
    assert targets
    assert [target for target in targets if not (TUTORIALS / target).exists()] == []


# Look at a trained crosscoder


@pytest.fixture(scope="module")
def look(tiny: Workspace, tmp_path_factory) -> Finished:
    return run_notebook(
        "look_at_a_crosscoder",
        tmp_path_factory.mktemp("look") / "run",
        ["brain", "lm", "z", "r", "evidence", "LATENT", "other", "of_story", "halves", "numbers"],
        {
            'Path("results/demo")': f'Path("{tiny.results}")',
            '"smollm2-135m-instruct/block15"': '"tiny-llama/block2"',
            '"riverferry"': f'"{REPEATED_STORY}"',
        },
    )


def test_a_story_is_encoded_as_the_run_did(tiny, look):
    brain, lm, z = (look.values[name] for name in ("brain", "lm", "z"))
    for values in (brain, lm, z):
        assert str(values.shape) in look.text
    assert len(z) == len(brain) == len(lm)
    store = xarray.open_zarr(tiny.model() / "codes.zarr", consolidated=False)
    here = store["story"].values[store["story_number"].values] == REPEATED_STORY
    stored = np.zeros_like(z)
    np.put_along_axis(stored, store["latent"].values[here], store["value"].values[here], axis=1)
    np.testing.assert_allclose(z, stored, atol=1e-4)


def test_r_is_that_of_the_table(look):
    r, evidence = look.values["r"], look.values["evidence"]
    assert np.abs(r).max() <= 1
    np.testing.assert_allclose(r, evidence["r"], atol=1e-6)


def test_every_column_and_every_verdict_is_explained(look):
    text = page("look_at_a_crosscoder")
    assert sorted(first_cells(text, "column")) == sorted(look.values["evidence"].columns)
    assert first_cells(text, "verdict") == list(VERDICTS)


def test_verdicts_are_counted_over_live_latents(look):
    counts = re.findall(rf"^({'|'.join(LABELS)}) +(\d+)$", look.text, re.MULTILINE)
    assert sum(int(n) for _, n in counts) == look.values["evidence"]["alive"].sum()


def test_the_latent_is_the_live_one_with_most_agreement_and_its_passages_were_said(tiny, look):
    live = look.values["evidence"].query("alive")
    latent = look.values["LATENT"]
    assert live.set_index("latent")["agreement"].idxmax() == latent
    assert live.set_index("latent")["r"].idxmax() == look.values["other"]
    passages = re.findall(r"^(\w+), (\d+) s, activation ([\d.]+):\n  … (.*)$", look.text, re.MULTILINE)
    stored = read_tsv(tiny.model() / "passages.tsv").query("latent == @latent")
    assert [(story, passage) for story, *_, passage in passages] == list(
        zip(stored["story"], stored["passage"], strict=True)
    )
    assert passages


def test_the_halves_have_the_correlation_that_the_title_says(look):
    halves = look.values["halves"]
    assert np.corrcoef(halves["brain"], halves["lm"])[0, 1] == pytest.approx(
        look.values["of_story"], abs=1e-4
    )


def test_figures_show_something_and_the_flatmap_has_colours(look):
    assert len(look.figures) == 4
    assert all(n_dark(figure) > 500 for figure in look.figures)
    assert n_coloured(look.figures[-1]) > 10_000


def test_a_published_map_holds_the_decoder_weights_and_says_that_data_are_simulated(tiny, look):
    folder = look.figures[0].parents[1]
    assert Image.open(folder / "latent.png").info["Description"] == "simulated data"
    assert (folder / "latent.pdf").stat().st_size > 0
    table = pd.read_csv(folder / "latent.tsv", sep="\t")
    model = Crosscoder.load(tiny.model() / "crosscoder.safetensors")
    latents = [look.values["LATENT"], look.values["other"]]
    expected = model.weights["brain"][:, latents].T.numpy().ravel()
    np.testing.assert_allclose(table["weight"].dropna(), expected, rtol=1e-5)


# Bring your own data


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("own") / "run"
    return run_notebook(
        "your_own_data",
        folder,
        ["STUDY", "REGIONS", "volumes", "correlation", "counts", "training"],
        {"Path.cwd()": f'Path("{REPOSITORY}")'},
    )


def test_the_study_has_the_files_of_the_layout(own):
    layout = next(block for block in blocks(page("your_own_data")) if block.content.startswith("my-study/"))
    study = own.values["STUDY"]
    for line in layout.content.splitlines():
        pattern = re.sub("<.*?>", "*", line.split()[0].removeprefix("my-study/"))
        assert list(study.glob(pattern)), line


def test_the_dataset_can_be_used_and_each_fault_is_named(own):
    usable, *broken = [shown for shown in own.shown if "dataset can" in shown]
    assert "The dataset can be used (0 faults, 0 oddities)" in usable
    volumes = own.values["volumes"]["nightbus"]
    assert f"has {volumes - 10} rows (TRs), but {volumes - 7} are expected" in broken[0]
    assert len(broken) == 2 and "are its times in milliseconds?" in broken[1]
    assert not any("Traceback" in shown for shown in own.shown)


def test_the_page_quotes_what_the_cells_print(own):
    n_cells, quoted = 0, []
    for block in blocks(page("your_own_data")):
        if block.language == "text":
            quoted.append((own.shown[n_cells - 1], block.content))
        n_cells += block.language.startswith("{code-cell}")
    assert len(quoted) == 4
    assert [text for shown, text in quoted if text not in shown] == []


def test_a_dry_run_lists_all_and_the_run_makes_what_was_asked_for(own):
    (planned,) = [shown for shown in own.shown if re.search(r"^total +\d+", shown, re.MULTILINE)]
    assert "figure2" in planned and "browser" in planned
    tables = own.values["STUDY"] / "results" / "first-look" / "tables" / "sub-01"
    assert {"predictions.tsv", "evidence.tsv"} <= {path.name for path in tables.iterdir()}


def test_what_was_planted_is_predicted_and_the_rest_is_not(own):
    of_region = pd.Series(own.values["correlation"]).groupby(own.values["REGIONS"]).mean()
    assert (of_region.drop("own accord") > 0.15).all()
    assert abs(of_region["own accord"]) < 0.15
    assert own.values["training"]["validation_explained_brain"].iloc[-1] > 0


def test_brain_and_model_agree_in_the_matched_model_and_hardly_in_controls(own):
    agreeing = {
        experiment: of[of.index.str.startswith(("shared", "agreeing"))].sum()
        for experiment, of in own.values["counts"].items()
    }
    assert agreeing["matched"] >= 3
    assert max(agreeing[control] for control in ("shuffled", "shifted", "noise")) <= 1
    assert len(own.figures) == 2 and all(n_dark(figure) > 500 for figure in own.figures)


# Add a score and a figure


@pytest.fixture(scope="module")
def score(tiny: Workspace, tmp_path_factory) -> Finished:
    return run_notebook(
        "add_a_score",
        tmp_path_factory.mktemp("score") / "run",
        ["dwell_s", "numbers", "by_hand"],
        {'Path("results/demo")': f'Path("{tiny.results}")'},
    )


def dwell_times_of(tiny: Workspace) -> np.ndarray:
    """(latent,) s, run after run."""
    store = xarray.open_zarr(tiny.model() / "codes.zarr", consolidated=False)
    runs: list[list[int]] = [[] for _ in range(store.attrs["n_latents"])]
    for number, split in enumerate(store["split"].values):
        if split != "test":
            continue
        rows = store["story_number"].values == number
        active = [
            set(latents[values != 0])
            for latents, values in zip(store["latent"].values[rows], store["value"].values[rows], strict=True)
        ]
        for latent, of_latent in enumerate(runs):
            of_latent += [
                len(list(run)) for is_active, run in groupby(latent in row for row in active) if is_active
            ]
    return np.array([2.0 * np.mean(of_latent) if of_latent else np.nan for of_latent in runs])


def test_the_score_is_what_its_formula_says(tiny, score):
    np.testing.assert_allclose(score.values["dwell_s"], dwell_times_of(tiny))
    np.testing.assert_allclose(score.values["by_hand"], [8 / 3, np.nan])
    assert len(score.figures) == 1 and n_dark(score.figures[0]) > 500


@pytest.fixture(scope="module")
def extended(tiny: Workspace, tmp_path_factory) -> Workspace:
    """The finished run beside a copy of the repository to which all that the tutorial says was done."""
    repository = tmp_path_factory.mktemp("repository")
    shutil.copytree(REPOSITORY / "docs" / "reference", repository / "docs" / "reference")
    workspace = tiny.copy(tmp_path_factory.mktemp("extended")).with_own_repository(repository)
    for block in blocks(page("add_a_score")):
        path = repository / block.path
        if block.what == "file":
            assert not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.content)
        elif block.what == "append":
            path.write_text(f"{path.read_text()}\n\n{block.content}")
        elif block.what == "edit":
            before, after = (
                "".join(line[1:] for line in block.content.splitlines(True) if line[0] in kept)
                for kept in (" -", " +")
            )
            assert path.read_text().count(before) == 1, (
                f"{block.path} has changed: the tutorial needs another edit"
            )
            path.write_text(path.read_text().replace(before, after))
    return workspace


def test_the_tutorial_touches_the_files_that_it_lists():
    touched = {block.path for block in blocks(page("add_a_score")) if block.path}
    assert touched == set(first_cells(page("add_a_score"), "file"))


def test_the_new_files_pass_the_linters_and_the_new_test_passes(extended):
    repository, project = extended.repository, REPOSITORY / "pyproject.toml"
    files = [repository / block.path for block in blocks(page("add_a_score")) if block.what == "file"]
    python = [file for file in files if file.suffix == ".py"]
    for command in (
        ["ruff", "format", "--check", "--config", project, *python],
        ["ruff", "check", "--config", project, *python],
        ["snakefmt", "--check", "--config", project, repository / "workflow" / "rules" / "figures.smk"],
        [
            "pytest",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            repository / "tests" / "scores" / "test_dwell.py",
        ],
    ):
        run = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=repository,
            env=os.environ | {"PYTHONPATH": str(repository)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert run.returncode == 0, run.stdout


def test_the_new_step_is_all_that_a_finished_run_lacks_and_it_runs(tiny, extended):
    assert [job.rule for job in extended.pending()] == ["dwell"]
    run = extended.snakemake(FIGURE)
    assert run.returncode == 0, run.stdout[-3000:]
    figure = extended.folder / FIGURE
    for kind in (".pdf", ".png", ".tsv"):
        assert figure.with_suffix(kind).stat().st_size > 0
    numbers = read_tsv(figure.with_suffix(".tsv"))
    evidence = read_tsv(tiny.model() / "evidence.tsv").query("alive and density > 0")
    assert numbers["latent"].tolist() == evidence["latent"].tolist()
    np.testing.assert_allclose(numbers["dwell_s"], dwell_times_of(tiny)[evidence["latent"]], rtol=1e-6)
    np.testing.assert_allclose(numbers["chance_s"], 2 / (1 - evidence["density"]), rtol=1e-6)
    n_rows = sum(
        len(
            xarray.open_zarr(tiny.results / "responses" / SUBJECT / f"{story}.zarr", consolidated=False)[
                "time"
            ]
        )
        for story in SPLITS["test"]
    )
    assert (numbers["dwell_s"] <= 2 * n_rows).all()
