"""A joint crosscoder of several subjects and the language model."""

import numpy as np
import pandas as pd
import pytest

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv, write_tsv
from brainlm.scores.evidence.significance import significant as significant_at
from brainlm.scores.evidence.verdict import labels
from brainlm.scores.latents import classify, relative_difference
from brainlm.store import open_store
from tiny_dataset import SPLITS, SUBJECT, Workspace

# Names that pandas would take for a number, and for nothing.
SUBJECTS, GROUP = [SUBJECT, "007"], "NA"


@pytest.fixture(scope="module")
def joint(tiny, tmp_path_factory) -> Workspace:
    """The tiny dataset with a second subject and a group, far enough for the group's models and tables, and for the
    comparison of the subjects."""
    workspace = tiny.copy(tmp_path_factory.mktemp("joint")).changed(
        subjects=SUBJECTS, groups={GROUP: SUBJECTS}
    )
    run = workspace.snakemake(
        *(f"results/tiny/figures/{GROUP}/{name}.pdf" for name in ("figure2", "agreement", "training_curves")),
        *(f"results/tiny/tables/{GROUP}/{name}.tsv" for name in ("shares", "evidence", "verdicts")),
        f"results/tiny/browser/{GROUP}",
        *(f"results/tiny/{subject}/found_in_seeds.tsv" for subject in SUBJECTS),
    )
    assert run.returncode == 0, run.stdout[-3000:]
    return workspace


@pytest.fixture(scope="module")
def model(joint) -> Crosscoder:
    return Crosscoder.load(joint.results / GROUP / "matched" / "seed0" / "crosscoder.safetensors")


def test_a_groups_sources_are_its_members_and_the_language_model(joint, model):
    assert list(model.weights) == [*SUBJECTS, "lm"]
    for subject in SUBJECTS:
        bold = open_store(joint.results / "responses" / subject / f"{SPLITS['test'][0]}.zarr")["bold"]
        assert model.widths[subject] == bold.shape[1]


def test_every_source_of_a_group_has_mean_norm_one(joint, model):
    for subject in SUBJECTS:
        responses = [
            open_store(joint.results / "responses" / subject / f"{story}.zarr")["bold"][:]
            for story in SPLITS["train"]
        ]
        rows = model.normalization[subject].apply(np.concatenate(responses))
        assert np.linalg.norm(rows, axis=1).mean() == pytest.approx(1, abs=1e-4)


def test_r_compares_each_brain_with_the_language_model(joint, model):
    latents = read_tsv(joint.results / GROUP / "matched" / "seed0" / "latents.tsv")
    norms = model.decoder_norms()
    for subject in SUBJECTS:
        rows = latents[latents["source"] == subject]
        r = relative_difference(norms[subject], norms["lm"])
        np.testing.assert_allclose(rows["r"], r, atol=1e-5)
        assert rows["class"].tolist() == classify(r).tolist()


def test_the_list_of_a_groups_pages_says_whose_each_is(joint):
    listed = read_tsv(joint.results / "tables" / GROUP / "latents.tsv")
    assert listed["source"].unique().tolist() == SUBJECTS
    assert not listed.duplicated(["source", "latent"]).any() and len(listed)
    for source, page in zip(listed["source"], listed["page"], strict=True):
        assert page.startswith(f"browser/{GROUP}/{source}/") and (joint.results / page).is_file()


def test_figures_and_tables_of_a_group_show_each_brain(joint):
    figure = read_tsv(joint.results / "figures" / GROUP / "figure2.tsv")
    shares = read_tsv(joint.results / "tables" / GROUP / "shares.tsv")
    wanted = {
        f"{experiment}: {subject}"
        for experiment in ("matched", "shuffled", "shifted", "noise", "first-block")
        for subject in SUBJECTS
    }
    assert set(figure["experiment"]) == set(shares["experiment"]) == wanted
    assert shares["brain correlation, test"].notna().all()
    by_brain = shares.set_index("experiment")["brain correlation, test"]
    assert by_brain[f"matched: {SUBJECTS[0]}"] != by_brain[f"matched: {SUBJECTS[1]}"]


def test_evidence_of_a_group_is_told_of_each_brain(joint, model):
    evidence = read_tsv(joint.results / "tables" / GROUP / "evidence.tsv").set_index("experiment")
    verdicts = read_tsv(joint.results / "tables" / GROUP / "verdicts.tsv")
    standing = ("matched", "shuffled", "shifted", "noise")
    assert set(evidence.index) == {f"{name}: {subject}" for name in standing for subject in SUBJECTS}
    noise = read_tsv(joint.results / GROUP / "noise" / "seed0" / "evidence.tsv")
    for subject in SUBJECTS:
        r = noise.loc[(noise["source"] == subject) & noise["alive"], "r"]
        assert evidence.loc[f"matched: {subject}", "r0"] == pytest.approx(r.median(), rel=1e-5)
        of_brain = verdicts[(verdicts["experiment"] == f"matched: {subject}") & (verdicts["class"] == "all")]
        assert of_brain["live latents"].tolist() == [model.alive.sum()]


def test_a_latent_of_a_group_is_active_on_all_its_stories(joint, model):
    store = open_store(joint.results / GROUP / "matched" / "seed0" / "codes.zarr")
    assert store["latent"].shape[1] == model.k
    assert store["story"].shape[0] == sum(len(stories) for stories in SPLITS.values())


def test_each_brain_of_a_group_is_asked_for_evidence(joint, model):
    folder = joint.results / GROUP / "matched" / "seed0"
    evidence, latents = read_tsv(folder / "evidence.tsv"), read_tsv(folder / "latents.tsv")
    assert evidence[["source", "latent"]].equals(latents[["source", "latent"]])
    features = joint.results / "features" / "tiny-llama" / "block2"
    raw = {
        name: np.concatenate([open_store(stores / f"{story}.zarr")[array][:] for story in SPLITS["test"]])
        for name, array, stores in [
            *((subject, "bold", joint.results / "responses" / subject) for subject in SUBJECTS),
            ("lm", "features", features),
        ]
    }
    z = model.encode(raw).astype(float)
    summary = read_tsv(folder / "evidence_summary.tsv")
    assert summary["source"].tolist() == SUBJECTS and (summary["n_hearings"] == 3).all()
    for subject in SUBJECTS:
        of_brain = evidence[evidence["source"] == subject].reset_index(drop=True)
        # Of its own maps and hearings, what it alone says, from codes that all sources make.
        assert of_brain.loc[model.alive, ["reliability", "total_variation"]].notna().all(axis=None)
        rows = model.normalization[subject].apply(raw[subject]).astype(float)
        w = model.weights[subject].numpy().astype(float)
        residual, total = rows - z @ w.T, np.square(rows - rows.mean(axis=0)).sum()
        expected = (2 * z * (residual @ w) + z**2 * np.square(w).sum(axis=0)).sum(axis=0) / total
        contribution = of_brain["contribution_brain"][model.alive]
        np.testing.assert_allclose(contribution, 100 * expected[model.alive], atol=1e-3)
        significant = significant_at(of_brain["agreement_p"][model.alive], 0.05)
        assert of_brain["agreement_significant"][model.alive].tolist() == significant.tolist()


def test_a_latent_of_a_group_has_a_page_for_each_brain(joint, model):
    folder = joint.results / "browser" / GROUP
    evidence = read_tsv(joint.results / GROUP / "matched" / "seed0" / "evidence.tsv")
    pages = {f"{latent}.html" for latent in np.flatnonzero(model.alive)}
    for subject in SUBJECTS:
        assert {path.name for path in (folder / subject).glob("*.html")} == {"index.html", *pages}
        of_brain = evidence[(evidence["source"] == subject) & evidence["alive"]]
        for latent, verdict in zip(of_brain["latent"], labels(of_brain), strict=True):
            assert f">{verdict}</span>" in (folder / subject / f"{latent}.html").read_text()
        assert f'href="{subject}/index.html"' in (folder / "index.html").read_text()


def test_latents_of_two_subjects_stand_beside_their_partners(joint, tmp_path):
    workspace = joint.copy(tmp_path)
    of_subject = {subject: workspace.results / subject for subject in SUBJECTS}
    found = {subject: folder / "found_again.tsv" for subject, folder in of_subject.items()}
    compared = workspace.results / "comparisons" / SUBJECTS[0] / f"{SUBJECTS[1]}.latents.tsv"
    # These few test TRs tell nothing: there is no row, until a comparison is put in its place.
    assert all(read_tsv(path).empty for path in (compared, *found.values()))
    evidence = {
        subject: read_tsv(folder / "matched" / "seed0" / "evidence.tsv")
        for subject, folder in of_subject.items()
    }
    n_latents = len(evidence[SUBJECT])
    partners = np.random.default_rng(0).permutation(n_latents)
    planted = pd.DataFrame({"subject": SUBJECTS[0], "seed": 0, "latent": np.arange(n_latents)})
    planted = planted.assign(other_subject=SUBJECTS[1], other_seed=0, partner=partners)
    back = planted.sort_values("partner").rename(
        columns={
            "latent": "partner",
            "partner": "latent",
            "subject": "other_subject",
            "other_subject": "subject",
        }
    )
    both_ways = pd.concat([planted, back], ignore_index=True).assign(correlation=0.5, found=True)
    write_tsv(both_ways, compared)
    run = workspace.snakemake(*(path.relative_to(tmp_path) for path in found.values()))
    assert run.returncode == 0, run.stdout[-3000:]

    for subject, other, of_latent in zip(
        SUBJECTS, SUBJECTS[::-1], (partners, np.argsort(partners)), strict=True
    ):
        table = read_tsv(found[subject])
        assert set(table["subject"]) == {subject} and set(table["other_subject"]) == {other}
        assert table["partner"].tolist() == of_latent.tolist()
        assert table["verdict"].tolist() == labels(evidence[subject]).tolist()
        assert table["partner_verdict"].tolist() == labels(evidence[other])[of_latent].tolist()
        # Of another seed there is nothing.
        lines = (of_subject[subject] / "found_in_seeds.tsv").read_text().splitlines()[1:]
        assert [line.split("\t", 3)[-1] for line in lines] == n_latents * [
            "0\tnot known\tnot known\tnot known"
        ]
