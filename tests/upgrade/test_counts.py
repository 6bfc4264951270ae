"""No request takes more than in the last release."""

from pathlib import Path

import pytest

from benchmarks.check import BOUND, compare

pytestmark = pytest.mark.timeout(600)


def test_no_answer_takes_more_calls_than_in_the_last_release(tmp_path: Path) -> None:
    compared = compare(tmp_path)

    assert {each.label: each.ratio for each in compared if each.ratio > BOUND} == {}
    assert all(each.last > 500 and each.now > 100 for each in compared)  # they were counted
