"""A crosscoder for brain responses and language models: the library behind the workflow."""
