"""What the Snakefile decides with: the plan of a run, its files and sizes, and why a job runs again."""
