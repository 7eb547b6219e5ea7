"""Which expectations a run fulfils."""

from brainlm.report.checks import Bar, bars_table


def test_bars_are_met_in_their_direction():
    rows = [
        Bar("found", 0.9, 0.9, ">="),
        Bar("found", 0.89, 0.9, ">="),
        Bar("error", 12.5, 10, "<=", "%"),
        Bar("error", 10.0, 10, "<=", "%"),
        Bar("agreement", float("nan"), 0.1, ">=", note="later"),
    ]
    table = bars_table(rows)
    assert table.columns.tolist() == ["check", "result", "bar", "met", "note"]
    assert table["met"].tolist() == ["yes", "no", "no", "yes", "not measured"]
    assert table["bar"].tolist() == ["≥ 0.9", "≥ 0.9", "≤ 10", "≤ 10", "≥ 0.1"]
    assert table["check"].iloc[2] == "error (%)"
