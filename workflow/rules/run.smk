# What is said and done at a run's start and end: Snakemake keeps one of each of these, the last that it reads.
onstart:
    if REFUSES and DATASET["source"] == "openneuro":
        try:
            require_space(needed_files(), MANIFEST, Path(ROOT))
        except ConfigError as error:
            sys.exit(str(error))
    if REFUSES and not SIMULATED:
        from brainlm.dataset_check import shape_faults

        files = {
            (subject, story): Path(path)
            for subject, story, *_, path in heard_stories()
            if story in STORIES
        }
        # Of files that were downloaded, the checksums tell more.
        if faults := shape_faults(files, N_ROWS, unreadable=DATASET["source"] == "local"):
            sys.exit("\n".join(faults))
    save_definitions(SCRIPTS, CODE_PACKAGES)
    for sentence in [*MISSING_STORIES, *doubtful(PLAN, N_ROWS)]:
        print(sentence, file=sys.stderr)
    for group, members in GROUPS.items():
        needed = training_of(SimpleNamespace(subject=group, experiment="matched"))
        print(
            f"Group {group} ({', '.join(members)}): training needs about {needed:.1f} GB of memory.",
            file=sys.stderr,
        )


onsuccess:
    checks = Path(RESULTS, "tables", "checks.md")
    print(checks.read_text(encoding="utf-8") if checks.is_file() else "", end="")


onerror:
    # Snakemake hands over all logs of the run.
    print(summary("".join(Path(file).read_text(encoding="utf-8") for file in log)), file=sys.stderr)
