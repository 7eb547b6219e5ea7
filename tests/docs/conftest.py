from tests.workflow.conftest import tiny  # noqa: F401
