rule fetch:
    output:
        # Snakemake deletes an output before it is made again (--forceall), but not one that is updated.
        file=update(f"{DERIVATIVE}/{{file}}"),
    log:
        f"{RESULTS}/logs/fetch/{{file}}.log",
    wildcard_constraints:
        file=".+",
    conda:
        ENVIRONMENT
    params:
        root=ROOT,
    script:
        "../scripts/fetch.py"
