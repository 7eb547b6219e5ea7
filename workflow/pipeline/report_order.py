"""Where a reader finds each figure and table in Snakemake's report, and by which labels.

The report sorts categories, their folders and what lies in these by name: numbers put categories into the order in
which they are to be read, and each has a folder for each subject.
"""

from dataclasses import dataclass

START = "1 Start"
CHECKS = "2 Checks"
EVIDENCE = "3 Evidence"
PAPER = "4 Figures and tables of the paper"
CONTROLS = "5 Controls"
BROWSER = "6 Browser"
ALL_SUBJECTS = "all subjects"


@dataclass(frozen=True)
class Place:
    """Where something stands."""

    category: str
    what: str
    """It is called by; within a folder things are sorted by it."""
    experiment: str | None = None
    """The only one that is shown; None: several, or none."""

    def labels(self, subject: str) -> dict[str, str]:
        """What a reader filters by; of a subject or an experiment only where there is one.

        A label that all entries of a folder have, with one of two values, would be made a switch that hides the
        others.

        Parameters
        ----------
        subject: whose it is, or ALL_SUBJECTS.
        """
        own = {} if subject == ALL_SUBJECTS else {"subject": subject}
        only = {} if self.experiment is None else {"experiment": self.experiment}
        return {"what": self.what, **own, **only}


FIGURES = {
    "training_curves": Place(CHECKS, "Training curves", "matched"),
    "ceiling": Place(CHECKS, "Explainable variance of each voxel"),
    "evidence": Place(EVIDENCE, "Evidence of each latent (figure)", "matched"),
    "agreement": Place(EVIDENCE, "Plain agreement of each latent"),
    "funnel": Place(EVIDENCE, "Latents left after each test (figure)", "matched"),
    "verdict_shares": Place(EVIDENCE, "Verdicts over subjects and seeds (figure)"),
    "figure2": Place(PAPER, "Figure 2: relative difference r"),
    "figure3": Place(PAPER, "Figure 3: decoder weights on the cortex", "matched"),
    "figure4": Place(PAPER, "Figure 4: test correlation of each voxel", "matched"),
    "stability": Place(CONTROLS, "Latents found again", "matched"),
    "subjects": Place(CONTROLS, "Classes over subjects and seeds (figure)"),
}
TABLES = {
    "paper": Place(START, "This run beside the paper"),
    "provenance": Place(START, "Where the models come from"),
    "dataset": Place(START, "The dataset's files"),
    "checks": Place(CHECKS, "Checks of the method"),
    "planted": Place(CHECKS, "Planted features and their latents", "matched"),
    "planted_verdicts": Place(CHECKS, "Verdicts on planted features", "matched"),
    "predictions": Place(CHECKS, "Predictions: what from what", "matched"),
    "rois": Place(CHECKS, "Regions", "matched"),
    "evidence": Place(EVIDENCE, "Evidence by experiment (table)"),
    "verdicts": Place(EVIDENCE, "Verdicts and classes", "matched"),
    "funnel": Place(EVIDENCE, "Latents left after each test (table)", "matched"),
    "verdict_shares": Place(EVIDENCE, "Verdicts over subjects and seeds (table)"),
    "interpretations": Place(EVIDENCE, "Themes, and the latents that separate them best", "matched"),
    "table1": Place(PAPER, "Table 1: a latent of each class", "matched"),
    "table2": Place(PAPER, "Table 2: passages", "matched"),
    "shares": Place(CONTROLS, "Classes by experiment"),
    "sensitivity": Place(CONTROLS, "Classes under each scaling"),
    "pairings": Place(CONTROLS, "Classes under other pairs of rows"),
    "readings": Place(CONTROLS, "Readings of what the paper leaves open"),
    "subjects": Place(CONTROLS, "Classes over subjects and seeds (table)"),
    "latents": Place(BROWSER, "The page of each latent", "matched"),
}
