"""Tests of remembered answers: found by key, bounded in bytes, and gone when they are superseded."""

from sigmasight_api.rendered import ENTRY_BYTES, Rendered, RenderedAnswers


def answer(size: int = 100, generation: int = 1) -> Rendered:
    return Rendered(generation, b"x" * size)


def test_an_answer_is_found_under_its_key_and_no_other() -> None:
    answers, kept = RenderedAnswers(), answer()
    answers.put(("a", 1), kept)
    assert answers.get(("a", 1)) is kept
    assert answers.get(("a", 2)) is None


def test_those_that_were_not_asked_for_longest_make_room() -> None:
    answers = RenderedAnswers(capacity_bytes=3 * (100 + ENTRY_BYTES))
    for key in "abc":
        answers.put(key, answer())
    answers.get("a")
    answers.put("d", answer())
    assert [key for key in "abcd" if answers.get(key)] == ["a", "c", "d"]
    assert answers.nbytes == 3 * (100 + ENTRY_BYTES)


def test_the_same_key_is_counted_once() -> None:
    answers = RenderedAnswers()
    answers.put("a", answer(100))
    answers.put("a", answer(50))
    assert (len(answers), answers.nbytes) == (1, 50 + ENTRY_BYTES)


def test_one_that_is_too_large_is_not_kept() -> None:
    answers = RenderedAnswers(capacity_bytes=1_000)
    answers.put("a", answer(2_000))
    assert (len(answers), answers.nbytes) == (0, 0)


def test_the_generation_before_the_newest_stays_and_older_ones_go() -> None:
    answers = RenderedAnswers()
    answers.put("oldest", answer(generation=1))
    answers.put("old", answer(generation=2))
    assert answers.get("oldest") is not None
    answers.put("new", answer(generation=3))
    assert answers.get("oldest") is None
    assert answers.get("old") is not None
    assert answers.nbytes == 2 * (100 + ENTRY_BYTES)


def test_an_answer_of_an_older_generation_that_comes_late_drops_nothing() -> None:
    answers = RenderedAnswers()
    answers.put("new", answer(generation=2))
    answers.put("late", answer(generation=1))
    assert answers.get("new") is not None
