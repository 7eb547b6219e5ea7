# Of fMRIPrep's derivatives, below dataset.root, files of ds003020's layout are made, which all other rules read.


def files_of_subject(wildcards):
    return FILES.files(wildcards.subject, FILES.stories_of(wildcards.subject))


def grey_matter_of(wildcards):
    return FILES.grey_matter_of(wildcards.subject)


def wanted_of_subject(wildcards):
    """A param: what the files of the subject's stories are called."""
    return FILES.wanted(FILES.stories_of(wildcards.subject))


def events_of_story(wildcards):
    return FILES.events(wildcards.story)


def listed_onset(wildcards):
    """A param: the onset that the table of stories gives, if it gives one."""
    return FILES.listed[wildcards.story].onset_s


rule bids_volumes:
    output:
        respdict="<derivative>/respdict.json",
    log:
        "<logs>/bids_volumes.log",
    conda:
        ENVIRONMENT
    resources:
        **needs(1, minutes=10),
    params:
        code=code_of("bids_volumes"),
        n_volumes=FILES.survey.n_volumes,
        notes=FILES.survey.notes,
    script:
        "../scripts/bids_volumes.py"


if FILES.has_volumes:

    rule bids_mask:
        input:
            files=files_of_subject,
            grey_matter=grey_matter_of,
        output:
            mask="<derivative>/masks/{subject}.nii.gz",
        log:
            "<logs>/bids_mask/{subject}.log",
        conda:
            ENVIRONMENT
        resources:
            **needs(4, minutes=60),
            folder=str(FILES.folder),
        params:
            code=code_of("bids_mask"),
            wanted=wanted_of_subject,
            space=FILES.space,
            res=DATASET["res"],
            grey_matter=FILES.grey_matter,
        script:
            "../scripts/bids_mask.py"


for subject in SUBJECTS:
    for number, batch in enumerate(batches(all_stories_of(SimpleNamespace(subject=subject)))):

        rule:
            name:
                f"bids_responses_{subject}_{number}"
            input:
                files=FILES.files(subject, batch),
                mask=FILES.mask_inputs(subject),
            output:
                hdf5=story_files(f"<derivative>/preprocessed_data/{subject}/{{story}}.hf5", batch),
            log:
                f"<logs>/bids_responses/{subject}/{number}.log",
            conda:
                ENVIRONMENT
            resources:
                **needs(FILES.cleaning_gb(subject, batch), minutes=120),
                **writes(response_bytes_of(subject, batch)),
                folder=str(FILES.folder),
            params:
                code=code_of("bids_responses"),
                subject=subject,
                wanted=FILES.wanted(batch),
                space=FILES.space,
                res=DATASET["res"],
                confounds=DATASET["confounds"],
                tr_s=DATASET["tr_s"],
                n_volumes={story: FILES.survey.n_volumes.get(story) for story in batch},
                trim=DATASET["trim"],
            script:
                "../scripts/bids_responses.py"


if EVENT_STORIES := FILES.event_stories(STORIES):

    rule bids_words:
        input:
            events=events_of_story,
        output:
            transcript="<derivative>/transcripts/{story}.tsv",
        log:
            "<logs>/bids_words/{story}.log",
        wildcard_constraints:
            story="|".join(map(re.escape, EVENT_STORIES)),
        conda:
            ENVIRONMENT
        resources:
            **needs(1, minutes=30),
        params:
            code=code_of("bids_words"),
            onset_s=listed_onset,
            tr_s=DATASET["tr_s"],
        script:
            "../scripts/bids_words.py"
