"""Latents beside their partners in other models, and how often they and their verdicts return."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.files import NOT_KNOWN, read_tsv, write_tsv
from brainlm.scores.evidence.found_again import COLUMNS, found_again, found_in_seeds
from brainlm.scores.evidence.tallies import funnel
from brainlm.scores.stability import LATENT_COLUMNS
from tests.scores.evidence.test_tallies import steps_of, verdicts_of

EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


def direction(one: str, other: str, partners: list[int | None], found: set[int]) -> pd.DataFrame:
    """Latents of one model looked for in another, as "S1.0" and "S2.1"; in `found` are those found again."""
    (subject, seed), (other_subject, other_seed) = (name.split(".") for name in (one, other))
    columns = (
        *(subject, int(seed), range(len(partners)), other_subject, int(other_seed)),
        pd.array(partners, dtype="Int64"),
        [np.nan if partner is None else 0.5 + 0.1 * (i in found) for i, partner in enumerate(partners)],
        [i in found for i in range(len(partners))],
    )
    return pd.DataFrame(dict(zip(LATENT_COLUMNS, columns, strict=True)))


def evidence_of(**of_model: list[str]) -> dict[tuple[str, int], pd.DataFrame]:
    """S1_0=["shared, mostly LM", ...]."""
    return {
        (subject, int(seed)): verdicts_of(*called).assign(latent=range(len(called)))
        for subject, _, seed in (name.partition("_") for name in of_model)
        for called in [of_model[f"{subject}_{seed}"]]
    }


EVIDENCE = evidence_of(
    S1_0=["shared", "LM", "shared, mostly LM", "dead"],
    S1_1=["LM", "shared", "shared", "silent"],
    S1_2=["shared", "shared, mostly LM", "LM", "dead"],
    S2_1=["shared", "agreeing", "dead"],
)
COMPARED = [
    pd.concat(
        [
            direction("S1.0", "S1.1", [1, 0, 2, None], {0, 2}),
            direction("S1.1", "S1.0", [1, 0, 2, None], {1, 2}),
            direction("S1.0", "S1.2", [0, 2, 1, None], {0, 1, 2}),
            direction("S1.2", "S1.0", [0, 2, 1, None], {0, 2}),
        ],
        ignore_index=True,
    ),
    pd.concat(
        [
            direction("S1.0", "S2.1", [1, None, 0, None], {2}),
            direction("S2.1", "S1.0", [2, 0, None], {0, 1}),
        ],
        ignore_index=True,
    ),
]


def test_each_latent_stands_beside_its_partner_with_both_verdicts():
    table = found_again("S1", COMPARED, EVIDENCE)
    assert tuple(table.columns) == COLUMNS
    assert set(table["subject"]) == {"S1"} and len(table) == 5 * 4
    rows = table[(table["seed"] == 0) & (table["other_subject"] == "S1") & (table["other_seed"] == 1)]
    assert rows["latent"].tolist() == [0, 1, 2, 3]
    assert rows["verdict"].tolist() == ["shared", "LM", "shared, mostly LM", "dead"]
    assert rows["partner_verdict"].tolist() == ["shared", "LM", "shared", ""]
    # The qualifier belongs to the verdict, and a partner need not be found again.
    assert rows["same_verdict"].tolist() == [True, True, False, False]
    assert rows["found"].tolist() == [True, False, True, False]
    in_other = table[table["other_subject"] == "S2"]
    assert in_other["partner_verdict"].tolist() == ["agreeing", "", "shared", ""]
    own = pd.concat(COMPARED, ignore_index=True).query("subject == 'S1'").reset_index(drop=True)
    pd.testing.assert_frame_equal(table[list(LATENT_COLUMNS)], own)


def test_a_subject_that_comes_second_has_its_own_direction():
    table = found_again("S2", COMPARED, EVIDENCE)
    assert table["other_subject"].tolist() == 3 * ["S1"] and table["partner"].tolist()[:2] == [2, 0]
    assert table["partner_verdict"].tolist() == ["shared, mostly LM", "shared", ""]
    assert table["same_verdict"].tolist() == [False, False, False]


def test_seeds_in_which_a_latent_and_its_verdict_return_are_counted():
    counted = found_in_seeds(found_again("S1", COMPARED, EVIDENCE))
    assert len(counted) == 3 * 4
    of_first = counted[counted["seed"] == 0]
    assert of_first["latent"].tolist() == [0, 1, 2, 3]
    assert of_first["n_seeds"].tolist() == [2, 2, 2, 2]
    # In the other subject latent 2 is found as well, which is no further seed.
    assert of_first["n_found"].tolist() == [2, 1, 2, 0]
    # Latent 1 has a partner of the same verdict in both, but is found in one.
    assert of_first["n_same_verdict"].tolist() == [2, 1, 1, 0]
    # One of two is not most.
    assert of_first["found_again_in_most"].tolist() == [True, False, True, False]
    of_last = counted[counted["seed"] == 2]
    assert of_last["n_seeds"].tolist() == [1, 1, 1, 1]
    assert of_last["found_again_in_most"].tolist() == [True, False, True, False]


def test_with_one_seed_it_is_not_known_whether_others_would_find_it():
    counted = found_in_seeds(found_again("S2", COMPARED, EVIDENCE))
    assert counted["latent"].tolist() == [0, 1, 2] and counted["n_seeds"].tolist() == [0, 0, 0]
    assert counted[["n_found", "n_same_verdict", "found_again_in_most"]].isna().all(axis=None)


def test_one_seed_of_one_subject_makes_tables_without_rows(tmp_path):
    nothing_compared = pd.DataFrame(columns=LATENT_COLUMNS)
    for compared in ([], [nothing_compared]):
        table = found_again("S1", compared, {})
        assert tuple(table.columns) == COLUMNS and table.empty
    counted = found_in_seeds(table)
    assert counted.empty
    write_tsv(counted, tmp_path / "found_in_seeds.tsv", missing=NOT_KNOWN)
    assert read_tsv(tmp_path / "found_in_seeds.tsv").columns.tolist() == counted.columns.tolist()


def test_both_tables_go_through_files(tmp_path):
    """Of subjects whose names look like a number and like nothing."""
    names = {"S1": "007", "S2": "NA"}
    compared = []
    for number, table in enumerate(COMPARED):
        path = tmp_path / f"{number}.tsv"
        write_tsv(table.replace({"subject": names, "other_subject": names}), path, digits=None)
        compared.append(read_tsv(path))
    evidence = {(names[subject], seed): table for (subject, seed), table in EVIDENCE.items()}
    table = found_again("007", compared, evidence)
    expected = found_again("S1", COMPARED, EVIDENCE).replace({"subject": names, "other_subject": names})
    pd.testing.assert_frame_equal(table, expected)

    write_tsv(table, tmp_path / "found_again.tsv", digits=None)
    pd.testing.assert_frame_equal(read_tsv(tmp_path / "found_again.tsv"), expected, check_dtype=False)
    counted = found_in_seeds(read_tsv(tmp_path / "found_again.tsv"))
    pd.testing.assert_frame_equal(counted, found_in_seeds(expected))


def test_the_funnel_takes_what_was_counted(tmp_path):
    latents = steps_of([7, 6, 6, 6], [0.0, 0.0, 0.0, 0.5]).drop(columns="found_again_in_most")
    for subject, known in (("S1", [2, 0]), ("S2", [None, None])):
        counted = found_in_seeds(found_again(subject, COMPARED, EVIDENCE))
        write_tsv(counted, tmp_path / "counted.tsv", digits=None, missing=NOT_KNOWN)
        counted = read_tsv(tmp_path / "counted.tsv")
        of_model = counted[counted["seed"] == counted["seed"].iloc[0]].set_index("latent")
        last = funnel(latents.join(of_model["found_again_in_most"])).iloc[-1]
        counts = [last["within_paper_shared"], last["others"]]
        assert [None if pd.isna(n) else n for n in counts] == known


@EXAMPLES
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_rows_one_by_one(n_others, n_latents, seed):
    random = np.random.default_rng(seed)
    names = ["shared", "shared, mostly LM", "LM"]
    called = {f"S_{model}": random.choice(names, n_latents).tolist() for model in range(n_others + 1)}
    compared = [
        direction("S.0", f"S.{other}", random.permutation(n_latents).tolist(), found)
        for other in range(1, n_others + 1)
        for found in [set(np.flatnonzero(random.random(n_latents) < 0.5))]
    ]
    counted = found_in_seeds(found_again("S", compared, evidence_of(**called)))
    assert len(counted) == n_latents and (counted["n_seeds"] == n_others).all()
    for row in counted.itertuples():
        found = [table["partner"][row.latent] for table in compared if table["found"][row.latent]]
        others = [number for number, table in enumerate(compared, 1) if table["found"][row.latent]]
        same = [
            called[f"S_{other}"][partner] == called["S_0"][row.latent]
            for other, partner in zip(others, found, strict=True)
        ]
        assert (row.n_found, row.n_same_verdict) == (len(found), sum(same))
        assert row.found_again_in_most == (len(found) > n_others - len(found))


def test_verdicts_of_other_models_are_refused():
    without = {model: table for model, table in EVIDENCE.items() if model != ("S1", 2)}
    with pytest.raises(InputError, match="S1, seed 2, were compared, but"):
        found_again("S1", COMPARED, without)
    # With more latents, with fewer than were compared, and with fewer than are partners.
    for model, table in (
        (("S1", 1), pd.concat([EVIDENCE["S1", 1], EVIDENCE["S1", 1]])),
        (("S1", 1), EVIDENCE["S1", 1][:3]),
        (("S2", 1), EVIDENCE["S2", 1][:1]),
    ):
        with pytest.raises(
            InputError, match=f"verdicts of {model[0]}, seed {model[1]}, are of other latents"
        ):
            found_again("S1", COMPARED, EVIDENCE | {model: table})
