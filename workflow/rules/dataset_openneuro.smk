from pipeline.datasets.openneuro import manifest_of


# The file itself is no output: it may lie in a folder of the user's, where nothing is ever deleted.
rule fetch:
    output:
        record="<results>/fetched/{file}.json",
    log:
        "<logs>/fetch/{file}.log",
    wildcard_constraints:
        file=".+",
    conda:
        ENVIRONMENT
    # Where a file comes from says nothing about whether it is right; its checksum does.
    resources:
        **needs(1, minutes=240),
        **writes(bytes_to_fetch),
        manifest=str(manifest_of(DATASET)),
        mirror=DATASET["mirror"],
    params:
        code=code_of("fetch"),
        root=ROOT,
    script:
        "../scripts/fetch.py"
