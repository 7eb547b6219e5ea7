# `snakemake check_dataset`: what a dataset's files hold, and all that is wrong with them at once.
rule dataset_table:
    input:
        files=checked_files(),
    output:
        table_files("dataset", folder="<tables>", subject=ALL_SUBJECTS),
        findings="<tables>/dataset_findings.tsv",
    log:
        "<logs>/dataset_table.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(2, minutes=240),
        # Which may not be there, and then is no input.
        respdict=FILES.respdict,
    params:
        code=code_of("dataset_table"),
        simulated=SIMULATED,
        heard=heard_stories(),
        masks=masks_of_subjects(),
        nuisances=nuisance_tables(),
        faults=FAULTS,
        absent=FILES.absent,
        dataset={key: DATASET[key] for key in ("tr_s", "trim")},
        sound_onsets_s={story: PLAN.sound_onset_s(story) for story in listed_stories()},
        segments=[story for story in listed_stories() if PLAN.text_of(story) != story],
        reading={key: DATASET[key] for key in ("non_words", "words_tier", "words_without_times")},
        features=PLAN.experiments["matched"]["features"],
    script:
        "../scripts/dataset_table.py"


# Without an output, so that it always says what it has to say.
rule check_dataset:
    input:
        findings=rules.dataset_table.output.findings,
        table="<tables>/dataset.html",
    log:
        "<logs>/check_dataset.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(1, minutes=10),
    script:
        "../scripts/check_dataset.py"
