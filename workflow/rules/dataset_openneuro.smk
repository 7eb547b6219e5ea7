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
        root=DERIVATIVE.removesuffix("/derivative"),
    script:
        "../scripts/fetch.py"
