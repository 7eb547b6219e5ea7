"""What a user can choose of cleaning; apart, because the modules that clean load much."""

STRATEGIES = ("simple", "compcor", "none")
"""nilearn's strategies that keep all rows; none removes nothing but the mean."""
