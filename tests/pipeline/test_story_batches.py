"""Which stories one job of the language model reads."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.experiments import story_batches

STORIES = st.sets(st.text("abcdefgh_0", min_size=1, max_size=6), min_size=1, max_size=60)


@settings(deadline=None)
@given(stories=STORIES, size=st.integers(1, 12), number=st.integers(0))
def test_a_story_that_is_added_or_leaves_moves_no_other_batch(stories, size, number):
    new = sorted(stories)[number % len(stories)]
    after, before = (story_batches(of, size) for of in (stories, stories - {new}))
    for batches, of in ((after, stories), (before, stories - {new})):
        assert all(1 <= len(batch) <= size for batch in batches)
        assert sorted(story for batch in batches for story in batch) == sorted(of)
    old = [story for batch in before if batch not in after for story in batch]
    changed = [story for batch in after if batch not in before for story in batch]
    assert sorted([*old, new]) == sorted(changed)
    # Its own batch, and a neighbour's that it was joined with.
    assert len(old) <= size


@given(stories=STORIES)
def test_the_order_of_stories_does_not_matter(stories):
    assert story_batches(sorted(stories), 5) == story_batches(sorted(stories, reverse=True), 5)
