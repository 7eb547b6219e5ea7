"""A joint crosscoder of several subjects and the language model."""

import numpy as np
import pytest

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv
from brainlm.rows.codes import load_codes
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
        f"results/tiny/{GROUP}/matched/seed0/codes.zarr",
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


def test_latents_of_two_subjects_stand_beside_their_partners(joint):
    models = [joint.results / subject / "matched" / "seed0" for subject in SUBJECTS]
    codes, evidence = (
        [load_codes(model / "codes.zarr", "test") for model in models],
        [read_tsv(model / "evidence.tsv") for model in models],
    )
    activations = [np.concatenate([code.activation for code in of_model.values()]) for of_model in codes]
    for one, other in ((0, 1), (1, 0)):
        found = read_tsv(joint.results / SUBJECTS[one] / "found_again.tsv")
        assert found["latent"].tolist() == evidence[one]["latent"].tolist()
        assert found["verdict"].tolist() == labels(evidence[one]).tolist()
        assert set(found["other_subject"]) == {SUBJECTS[other]} and set(found["other_seed"]) == {0}
        partners = found.dropna(subset="partner").astype({"partner": int})
        assert len(partners) > 0
        for row in partners.itertuples():
            both = activations[one][:, row.latent], activations[other][:, row.partner]
            assert row.correlation == pytest.approx(np.corrcoef(*both)[0, 1], abs=1e-6)
            assert row.partner_verdict == labels(evidence[other])[row.partner]
            assert row.same_verdict == (row.verdict == row.partner_verdict)
        assert (found.loc[found["partner"].isna(), "partner_verdict"] == "").all()
        # Of another seed there is nothing.
        in_seeds = read_tsv(joint.results / SUBJECTS[one] / "found_in_seeds.tsv")
        assert in_seeds["latent"].tolist() == found["latent"].tolist()
        assert (in_seeds["n_seeds"] == 0).all() and in_seeds["found_again_in_most"].isna().all()
        text = (joint.results / SUBJECTS[one] / "found_in_seeds.tsv").read_text()
        assert text.splitlines()[1].split("\t")[-3:] == 3 * ["not known"]
