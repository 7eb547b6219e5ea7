for number, batch in enumerate(batches(dict.fromkeys(PLAN.all_texts + PLAN.all_stories))):

    rule:
        name:
            f"words_{number}"
        input:
            transcripts=[FILES.input(transcript_file(story)) for story in batch],
        output:
            words=story_files("<results>/words/{story}.tsv", batch),
        log:
            f"<logs>/words/{number}.log",
        conda:
            ENVIRONMENT
        resources:
            **needs(1, minutes=30),
        params:
            code=code_of("words"),
            non_words=DATASET["non_words"],
            words_tier=DATASET["words_tier"],
            words_without_times=DATASET["words_without_times"],
        script:
            "../scripts/words.py"
