def needed_files():
    """The files of the dataset that a run uses, below its root."""
    wildcards = [SimpleNamespace(subject=subject) for subject in SUBJECTS]
    responses = [
        f"{DERIVATIVE}/preprocessed_data/{of.subject}/{story}.hf5"
        for of in wildcards
        for story in all_stories_of(of)
    ]
    textgrids = story_files(f"{DERIVATIVE}/TextGrids/{{story}}.TextGrid")
    cortices = [file for of in wildcards for file in cortex_files(of)]
    names = [f"{DERIVATIVE}/respdict.json", *transform_files(), *responses, *textgrids, *cortices]
    return [str(Path(name).relative_to(ROOT)) for name in names]


onstart:
    try:
        require_space(needed_files(), MANIFEST, Path(ROOT))
    except ConfigError as error:
        sys.exit(str(error))


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
    # Where a file comes from says nothing about whether it is right; its checksum does.
    resources:
        mem_mb=memory(1),
        runtime=minutes(240),
        manifest=str(manifest_of(DATASET)),
        mirror=DATASET["mirror"],
    params:
        code=code_of("fetch"),
    script:
        "../scripts/fetch.py"
