from functools import partial

from dataset_files import transcript_path


rule words:
    input:
        transcript=partial(transcript_path, DATASET["source"], DERIVATIVE),
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
        non_words=DATASET["non_words"],
        words_tier=DATASET["words_tier"],
    script:
        "../scripts/words.py"
