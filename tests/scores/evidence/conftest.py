import pytest

from tests.scores.evidence.planted import Planted, plant


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def evidence(planted):
    return planted.evidence()
