"""What the tables' scripts read of several models."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "results.py"


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_table(path: Path, rows: list[dict]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return str(path)


MEMBERS = ["NA", "007", "shared", "lm-dominant", "b_shared"]


def test_each_brain_of_a_group_has_its_own_numbers_whatever_it_is_called(results, tmp_path):
    common = {"subject": "null", "experiment": "nan", "seed": 0, "brain_time": "matched", "test_trs": 70}
    own = {f"test_correlation_{member}": number for number, member in enumerate(MEMBERS)}
    own |= {f"standardize_{member}": "none" for member in MEMBERS} | {"test_correlation_lm": -1.0}
    rows = [
        {**common, "source": member, "share_shared": 0.5, "share_lm-dominant": 0.25, **own}
        for member in MEMBERS
    ]
    table = results.summaries([write_table(tmp_path / "summary.tsv", rows)])
    assert table["subject"].tolist() == ["null"] * len(MEMBERS)
    assert table["experiment"].tolist() == [f"nan: {member}" for member in MEMBERS]
    assert table["test_correlation_brain"].tolist() == list(range(len(MEMBERS)))
    assert table["standardize_brain"].tolist() == ["none"] * len(MEMBERS)
    assert table["share_shared"].tolist() == [0.5] * len(MEMBERS)
    assert table["share_lm-dominant"].tolist() == [0.25] * len(MEMBERS)


def test_the_last_epoch_says_what_each_source_explains_in_validation(results, tmp_path):
    rows = [{"experiment": "e", "source": member, "standardize_lm": "none"} for member in ("a", "b")]
    columns = ("validation_explained_a", "validation_explained_b", "validation_explained_lm")
    epochs = [dict.fromkeys(columns, 9.0), dict(zip(columns, (-0.1, 0.2, 0.3), strict=True))]
    summary, log = (
        write_table(tmp_path / name, of) for name, of in (("summary.tsv", rows), ("training.tsv", epochs))
    )
    table = results.summaries([summary], [log])
    assert table["validation_explained_brain"].tolist() == [-0.1, 0.2]
    assert table["validation_explained_lm"].tolist() == [0.3, 0.3]
    assert "validation_explained_brain" not in results.summaries([summary])


def test_latents_are_told_apart_by_the_names_of_brains(results, tmp_path):
    rows = [{"latent": latent, "source": member, "r": 0.5} for member in MEMBERS for latent in range(3)]
    path = write_table(tmp_path / "group" / "null" / "seed0" / "latents.tsv", rows)
    tables = results.by_experiment([path])
    assert list(tables) == [f"null: {member}" for member in MEMBERS]
    assert all(of_brain["latent"].tolist() == [0, 1, 2] for (of_brain,) in tables.values())


def test_verdicts_and_r0_stand_beside_the_summaries_of_the_models_that_were_asked(results, tmp_path):
    def evidence(
        subject: str, experiment: str, seed: int, r: float, *called: str, brain: str = "brain"
    ) -> str:
        rows = [
            {
                "latent": n,
                "source": brain,
                "r": r,
                "class": "shared",
                "alive": True,
                "verdict": said,
                "qualifier": "",
            }
            for n, said in enumerate(called)
        ]
        return write_table(tmp_path / subject / experiment / f"seed{seed}" / "evidence.tsv", rows)

    files = [
        evidence("NA", "matched", 0, 0.1, "shared", "unclear"),
        evidence("NA", "matched", 1, 0.1, "shared", "shared"),
        evidence("NA", "noise", 0, 0.25, "unclear"),
        evidence("S2", "matched", 0, 0.1, "unclear", "unclear", "unclear", "shared"),
    ]
    models = pd.DataFrame(
        [
            ("NA", "matched", 0),
            ("NA", "matched", 1),
            ("NA", "wide", 0),
            ("S2", "matched", 0),
            ("NA", "noise", 0),
        ],
        columns=["subject", "experiment", "seed"],
    )
    table = results.with_verdicts(models, files)
    assert table[["subject", "experiment", "seed"]].equals(models)
    assert table["verified_shared"].fillna(-1).tolist() == [0.5, 1, -1, 0.25, 0]
    # Another subject's white noise says nothing of this one.
    assert table["r0"].fillna(-1).tolist() == [0.25, 0.25, -1, -1, 0.25]


def test_each_brain_of_a_group_has_its_own_verdicts(results, tmp_path):
    rows = [
        {
            "latent": 0,
            "source": brain,
            "r": r,
            "class": "shared",
            "alive": True,
            "verdict": said,
            "qualifier": "",
        }
        for brain, r, said in (("a", 0.1, "shared"), ("b", 0.2, "unclear"))
    ]
    files = [
        write_table(tmp_path / "both" / name / "seed0" / "evidence.tsv", rows)
        for name in ("matched", "noise")
    ]
    models = pd.DataFrame({"subject": "both", "experiment": ["matched: a", "matched: b"], "seed": 0})
    table = results.with_verdicts(models, files)
    assert table["verified_shared"].tolist() == [1, 0] and table["r0"].tolist() == [0.1, 0.2]


def test_what_is_found_again_stands_beside_a_subjects_matched_latents(results, tmp_path):
    rows = [{"latent": latent, "r": 0.5} for latent in range(3)]
    paths = [
        write_table(tmp_path / name / "evidence.tsv", rows)
        for name in ("matched/seed0", "matched/seed4", "noise/seed0")
    ]
    found = [
        {"subject": "S", "seed": seed, "latent": latent, "found_again_in_most": told}
        for seed, latent, told in ((4, 2, True), (4, 0, False), (4, 1, "not known"), (0, 0, True))
    ]
    tables = results.latents_by_seed(paths, write_table(tmp_path / "found_in_seeds.tsv", found))
    assert {seed: len(table) for seed, table in tables.items()} == {0: 3, 4: 3}
    in_most = tables[4]["found_again_in_most"].tolist()
    assert in_most[0] is False and pd.isna(in_most[1]) and in_most[2] is True
    assert tables[0]["found_again_in_most"].notna().tolist() == [True, False, False]
    # One seed alone has no latents to find again.
    nothing = tmp_path / "nothing.tsv"
    nothing.write_text("subject\tseed\tlatent\tfound_again_in_most\n")
    assert results.latents_by_seed(paths, str(nothing))[0]["found_again_in_most"].isna().all()
