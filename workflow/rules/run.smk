# What is said and done at a run's start and end: Snakemake keeps one of each of these, the last that it reads.
FAILURES = watch_failures()


onstart:
    # Slower to ask than a dry run should be; and a plan itself says what is lacking.
    if foresees():
        faults = planning_faults()
    else:
        faults = FILES.start_faults(PLAN.subject_stories, PLAN.all_texts, N_ROWS) if REFUSES else []
    if faults:
        sys.exit("\n".join(faults))
    save_definitions()
    without_default_rate_limit(workflow.scheduler)
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
    print(checks.read_text(encoding="utf-8") if checks.is_file() and not foresees() else "", end="")


onerror:
    print(summary(FAILURES), file=sys.stderr)
