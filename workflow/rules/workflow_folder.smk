import io
import sys
import tarfile
import tempfile
from pathlib import Path

from snakemake.sourcecache import HostingProviderFile, LocalSourceFile


def workflow_folder():
    """The folder workflow/ of this file, not of a workflow that uses this one as a module.

    Of a repository that Snakemake knows by its address alone, as of github(...), a copy is laid into the working
    directory: scripts and Snakefiles import what lies beside them.
    """
    here = workflow.current_basedir
    if isinstance(here, LocalSourceFile):
        return Path(here.get_path_or_uri(secret_free=True)).parent
    if not isinstance(here, HostingProviderFile):
        sys.exit(
            f"{here} is an address that leads to single files, but the workflow needs those beside them: name its "
            "Snakefile by its path on this machine, or by github(...) or gitlab(...)."
        )
    repository = here.hosted_repo.repo
    commit = repository.commit(here.ref).hexsha
    copy = Path(".snakemake", "brainlm", commit).absolute()
    if not copy.is_dir():
        lay_copy(repository, commit, copy)
    return (copy / here.path).parent


def lay_copy(repository, commit, copy):
    """All files of a commit; the folder appears when it is complete, though several processes lay it at once."""
    archive = io.BytesIO()
    repository.archive(archive, commit)
    archive.seek(0)
    copy.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copy.parent, ignore_cleanup_errors=True) as folder:
        partial = Path(folder, commit)
        with tarfile.open(fileobj=archive) as files:
            files.extractall(partial, filter="data")
        try:
            partial.rename(copy)
        except OSError:
            # Another process was first.
            if not copy.is_dir():
                raise


WORKFLOW = workflow_folder()
sys.path[:0] = [str(WORKFLOW), str(WORKFLOW.parent)]
