"""Files that appear only when they are complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path to write to; what is there takes the place of `path` when the block ends well, and is removed
    when it does not. It is on the disk by then: a machine that goes down afterwards keeps it."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # an interrupted job (KeyboardInterrupt) leaves nothing behind either
        partial.unlink(missing_ok=True)
        raise
