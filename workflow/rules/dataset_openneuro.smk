rule fetch:
    output:
        file=f"{DERIVATIVE}/{{file}}",
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
