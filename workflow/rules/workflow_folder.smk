import io
import os
import sys
import tarfile
from pathlib import Path


def workflow_folder():
    """The folder workflow/ of this file, not of a workflow that uses this one as a module.

    Of a repository that Snakemake knows by its address alone, as of github(...), a copy is laid into the working
    directory: scripts and Snakefiles import what lies beside them.
    """
    here = workflow.current_basedir
    if here.is_local:
        return Path(here.get_path_or_uri(secret_free=True)).parent
    repository = here.hosted_repo.repo
    commit = repository.commit(here.ref).hexsha
    copy = Path(".snakemake", "brainlm", commit).absolute()
    if not copy.is_dir():
        partial = copy.with_name(f"{commit}.{os.getpid()}")
        archive = io.BytesIO()
        repository.archive(archive, commit)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as files:
            files.extractall(partial, filter="data")
        partial.rename(copy)
    return (copy / here.path).parent


WORKFLOW = workflow_folder()
sys.path[:0] = [str(WORKFLOW), str(WORKFLOW.parent)]
