"""How often Snakemake looks for jobs to start."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.scheduling.job_scheduler import JobScheduler

DEFAULT_LIMIT = (100, 1)
"""Jobs, and in how many seconds: what `--max-jobs-per-timespan` is unless somebody says."""


def without_default_rate_limit(scheduler: "JobScheduler") -> None:
    """Start as many jobs a second as there is room for, unless somebody has given a limit.

    To keep a limit Snakemake (9.27) looks at all waiting jobs and their files again a second after each look. Each
    job that ends adds such a look, so that after 300 jobs there may be 300 looks a second as long as any job waits.
    Who gives just the default, 100/1s, cannot be told from who gives none: that limit is dropped as well.
    """
    # In another version the attributes may have other names; then nothing is changed.
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if (getattr(limiter, "max_jobs", None), getattr(limiter, "timespan", None)) == DEFAULT_LIMIT:
        scheduler.job_rate_limiter = None
