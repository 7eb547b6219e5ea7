rule words:
    input:
        transcript=transcript_of,
    output:
        words=f"{RESULTS}/words/{{story}}.tsv",
    log:
        f"{RESULTS}/logs/words/{{story}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/words/{{story}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(1),
        runtime=minutes(10),
    params:
        code=code_of("words"),
    script:
        "../scripts/words.py"
