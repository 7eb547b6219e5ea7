"""Stories, brains and responses that the workflow itself writes."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.datasets.base import Dataset
from pipeline.errors import ConfigError
from pipeline.recordings import Segment


class Source(Dataset):
    """All files are made below the results."""

    is_simulated = True
    is_written = True
    subject_tables = ("planted",)
    run_tables = ("checks", "planted_verdicts")
    threads = 1  # small models train fastest side by side

    def _faults(self, stories: Mapping[str, list[str]], segments: Mapping[str, Segment]) -> list[str]:
        dataset = self.settings
        if dataset["root"] is not None:
            raise ConfigError(
                "Config: dataset.root must be null with dataset.source simulated, which would write over the dataset "
                f"in {dataset['root']}."
            )
        texts = Path(dataset["simulation"]["texts"])
        absent = sorted(
            story for split in stories.values() for story in split if not (texts / f"{story}.txt").exists()
        )
        if absent:
            raise ConfigError(
                f"{dataset['stories']} names the unknown story '{absent[0]}': no {absent[0]}.txt in {texts}."
            )
        repeated = dataset["simulation"]["repeated_story"]
        if repeated is not None and repeated not in stories["test"]:
            raise ConfigError(f"Config: dataset.simulation.repeated_story '{repeated}' is not a test story.")
        return []

    def rows_of(self, stories: Iterable[str]) -> dict[str, int]:
        """Unknown: the respdict.json that is there may be another config's."""
        return {}

    def transform(self, subject: str) -> str:
        """As the simulation calls it."""
        return f"{subject}_auto"

    def mask_inputs(self, subject: str) -> list[str]:
        """The folder that is made as a whole."""
        return [self.pycortex_folder(subject)]
