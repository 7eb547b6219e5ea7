"""What can be chosen of rows; apart from what computes with them, so that a config can be read without it."""

from typing import Literal

Standardization = Literal["none", "center", "zscore"]
"""How a source is scaled by the training rows; see `normalization.fit_normalization`."""
BrainTime = Literal["matched", "shuffled", "shifted", "noise"]
"""Which brain row goes with which LM row; see `pairs.row_order` and `pairs.assemble`."""
