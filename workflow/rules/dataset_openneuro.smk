def needed_files():
    """The files of the dataset that a run uses, below its root."""
    wildcards = [SimpleNamespace(subject=subject) for subject in SUBJECTS]
    responses = [
        f"{DERIVATIVE}/preprocessed_data/{of.subject}/{story}.hf5"
        for of in wildcards
        for story in all_stories_of(of)
    ]
    textgrids = story_files(f"{DERIVATIVE}/TextGrids/{{story}}.TextGrid")
    cortices = [path for of in wildcards for path in cortex_paths(of)]
    names = [f"{DERIVATIVE}/{name}.json" for name in ("respdict", "subject_xfms")]
    return [str(Path(name).relative_to(ROOT)) for name in [*names, *responses, *textgrids, *cortices]]


# The file itself is no output: it may lie in a folder of the user's, where nothing is ever deleted.
rule fetch:
    output:
        record=f"{RESULTS}/fetched/{{file}}.json",
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
        root=ROOT,
    script:
        "../scripts/fetch.py"
