"""What is said of a run before it is started: counts, sums and warnings, of jobs whose sizes are known."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.forecast_table import Machine, PendingJob, described, duration, forecast

GIGABYTE = 10**9
RESULTS, ROOT = Path("results/lab"), Path("/data/lab")
MACHINE = Machine(n_cores=2, memory_bytes=16 * GIGABYTE, free_bytes={RESULTS: 100 * GIGABYTE})
TRAIN = PendingJob("train", 1, 8 * GIGABYTE, 3600, 3 * GIGABYTE, 0, RESULTS)
SCORES = PendingJob("scores", 1, 2 * GIGABYTE, 600, None, 0, RESULTS)


def text(jobs: list[PendingJob], took_s: dict[str, float], machine: Machine = MACHINE) -> str:
    return described(forecast(jobs, took_s, machine), machine)


def cells(table: str, rule: str) -> list[str]:
    """The row of a rule; columns are two blanks or more apart."""
    (row,) = [line for line in table.splitlines() if line.split()[:1] == [rule]]
    return [cell.strip() for cell in row.split("  ") if cell.strip()]


def test_jobs_of_a_rule_are_counted_and_summed():
    jobs = [TRAIN, replace(TRAIN, memory_bytes=9 * GIGABYTE, limit_s=7200), SCORES]
    table = text(jobs, {"train": 120.0})
    assert cells(table, "train") == ["train", "2", "9 GB", "6 GB", "2 min", "2 min", "2.0 h"]
    assert cells(table, "scores") == ["scores", "1", "2 GB", "not known", "not known", "not known", "10 min"]
    # The order of the jobs is that in which they can be run.
    assert table.index("\ntrain") < table.index("\nscores")
    assert "Time of 3 jobs on 2 cores: about 2 min, without what is not known: scores." in table
    assert "Disk of results/lab: about 6 GB more; 100 GB are free." in table
    assert "Not counted on any disk, because it is not known: scores." in table
    assert "a job of train asks for the most, 9 GB; this machine has 16 GB." in table
    assert "Warning" not in table


def test_without_any_log_no_time_is_told():
    table = text([TRAIN, SCORES], {})
    assert "Time of 2 jobs on 2 cores: not known" in table
    assert "the longest limit is that of train, 60 min." in table


def test_a_job_that_takes_all_cores_shares_them_with_none():
    jobs = [replace(TRAIN, n_cores=16)] * 4
    assert cells(text(jobs, {"train": 600.0}), "train")[4:6] == ["10 min", "40 min"]
    assert cells(text([TRAIN] * 4, {"train": 600.0}), "train")[4:6] == ["10 min", "20 min"]


def test_a_single_job_is_not_shared_among_cores():
    table = text([TRAIN], {"train": 600.0})
    assert "about 10 min." in table and cells(table, "train")[4:6] == ["10 min", "10 min"]


def test_what_does_not_fit_is_warned_of():
    small = Machine(2, 4 * GIGABYTE, {RESULTS: GIGABYTE})
    table = text([TRAIN, SCORES], {}, small)
    warnings = [line for line in table.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 2
    assert "results/lab lacks 2 GB" in warnings[0]
    assert warnings[1].startswith("Warning: train: ") and "more memory than there is" in warnings[1]


def test_results_that_are_replaced_need_no_room_of_their_own():
    jobs = [replace(TRAIN, replaced_bytes=size * GIGABYTE) for size in (2, 3)]
    assert "about 1 GB more" in text(jobs, {})
    # What becomes smaller makes no room before it is written.
    scores = replace(SCORES, written_bytes=GIGABYTE, replaced_bytes=4 * GIGABYTE)
    assert "about 1 GB more" in text([*jobs, scores], {})


def test_disks_are_told_apart():
    fetch = replace(TRAIN, rule="fetch", written_bytes=24 * GIGABYTE, folder=ROOT)
    machine = replace(MACHINE, free_bytes={RESULTS: GIGABYTE, ROOT: 30 * GIGABYTE})
    table = text([fetch, replace(TRAIN, written_bytes=GIGABYTE // 2)], {}, machine)
    assert "Disk of results/lab: about 500 MB more; 1 GB are free." in table
    assert "Disk of /data/lab: about 24 GB more; 30 GB are free." in table
    assert "Warning" not in table


def test_a_rule_that_asks_for_nothing_is_counted():
    mine = replace(SCORES, rule="mine", memory_bytes=None, limit_s=None)
    table = text([TRAIN, mine], {})
    assert cells(table, "mine") == ["mine", "1", "not known", "not known", "not known"]
    assert "the longest limit is that of train" in table and "a job of train asks for the most" in table
    alone = text([mine], {})
    assert (
        "Time of 1 job on 2 cores: not known" in alone
        and "Memory: not known; this machine has 16 GB." in alone
    )


def test_nothing_pending_is_said():
    assert text([], {}) == "Nothing is to be done."


@given(
    st.lists(
        st.builds(
            PendingJob,
            st.sampled_from(["a", "b", "c"]),
            st.integers(1, 64),
            st.none() | st.integers(1, 10**12),
            st.none() | st.integers(1, 10**6),
            st.none() | st.integers(0, 10**12),
            st.integers(0, 10**12),
            st.just(RESULTS),
        ),
        min_size=1,
        max_size=20,
    ),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0, 10**6)),
    st.integers(1, 32),
)
def test_every_job_is_in_one_row(jobs, took_s, n_cores):
    machine = replace(MACHINE, n_cores=n_cores)
    rows = forecast(jobs, took_s, machine)
    assert sum(row.n_jobs for row in rows) == len(jobs)
    for row in rows:
        of_rule = [job for job in jobs if job.rule == row.rule]
        known = [job.memory_bytes for job in of_rule if job.memory_bytes is not None]
        assert row.memory_bytes == max(known, default=None)
        assert (row.added_bytes is None) == any(job.written_bytes is None for job in of_rule)
        # No more cores than there are, and no fewer than one.
        if row.core_s is not None:
            assert row.job_s * row.n_jobs <= row.core_s <= row.job_s * row.n_jobs * n_cores * (1 + 1e-9)
    assert described(rows, machine)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.61, "0.61 s"), (42.3, "42 s"), (99.7, "100 s"), (130, "2 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_durations_are_round(seconds, words):
    assert duration(seconds) == words
