rule words:
    input:
        textgrid=f"{DERIVATIVE}/TextGrids/{{story}}.TextGrid",
    output:
        words=f"{RESULTS}/words/{{story}}.tsv",
    log:
        f"{RESULTS}/logs/words/{{story}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/words/{{story}}.tsv"
    conda:
        ENVIRONMENT
    script:
        "../scripts/words.py"
