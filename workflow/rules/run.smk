# What is said and done at a run's start and end: Snakemake keeps one of each of these, the last that it reads.
FAILURES = watch_failures()


onstart:
    if REFUSES and DATASET["source"] == "openneuro":
        try:
            require_space(needed_files(), MANIFEST, Path(ROOT))
        except ConfigError as error:
            sys.exit(str(error))
    if REFUSES and not SIMULATED:
        from brainlm.data.check import shape_faults

        files = {
            (subject, story): Path(path)
            for subject, story, *_, path in heard_stories()
            if story in STORIES
        }
        # Of files that were downloaded, the checksums tell more.
        if faults := shape_faults(files, N_ROWS, unreadable=DATASET["source"] == "local"):
            sys.exit("\n".join(faults))
    save_definitions()
    print(*MISSING_STORIES, sep="\n", end="\n" * bool(MISSING_STORIES), file=sys.stderr)
    for sentence in [*PLAN.former_words, *NEIGHBOURS, *doubtful(PLAN, N_ROWS)]:
        print(f"Warning: {sentence}", file=sys.stderr)
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
    print(summary(FAILURES), file=sys.stderr)
