import math

import pytest

from bot.bench.figures import median, median_ratio, percentile


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 5), (0.95, 10), (0.9, 9), (1.0, 10)])
def test_a_percentile_is_the_smallest_value_that_the_share_does_not_exceed(share, value):
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == value


def test_of_nothing_there_is_no_figure():
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(median([]))


def test_a_round_in_which_all_were_slow_does_not_move_the_ratio():
    calm, busy = [1.0, 1.0, 0.1], [2.0, 2.0, 0.2]

    assert median_ratio(busy, calm) == 2.0
