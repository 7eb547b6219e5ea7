"""What control groups (version 2), a cluster's or a container's, grant this process of the machine's memory."""

from collections.abc import Iterator
from pathlib import Path

ROOT, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def memory_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int | None:
    """The most that the groups around this process allow, in bytes; None if none sets a limit."""
    return min((limit for _, limit in _limited_groups(root, membership)), default=None)


def free_memory(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int | None:
    """What the groups around this process still allow, in bytes; None if none sets a limit."""
    free = []
    for folder, limit in _limited_groups(root, membership):
        used = int((folder / "memory.current").read_text())
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # Files that were read count as used, but make room when it is needed.
        free.append(limit - used + int(counts.get("file", 0)))
    return min(free, default=None)


def _limited_groups(root: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """The folders of the groups that set a limit, and the limits in bytes."""
    lines = membership.read_text().splitlines() if membership.is_file() else []
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    if not own:
        return
    for folder in (root / own[0], *(root / own[0]).parents):
        limit = folder / "memory.max"
        if limit.is_file() and (text := limit.read_text().strip()) != "max":
            yield folder, int(text)
        if folder == root:
            return
