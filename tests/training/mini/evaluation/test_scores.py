import numpy as np
import pytest

from bot.training.mini.evaluation.classifier import ATTRIBUTES, HIDDEN, Labels
from bot.training.mini.evaluation.report import Report, table
from bot.training.mini.evaluation.scores import HEADLINE, confusions, frechet_distance, mean_share, rates


def labels(**columns: list[int]) -> Labels:
    """Label numbers by attribute, 0 for all that is not named."""
    count = len(next(iter(columns.values())))
    return np.array([columns.get(name, [0] * count) for name in ATTRIBUTES]).T


def test_a_rate_counts_what_was_asked_and_what_was_seen() -> None:
    found = rates(labels(outfit=[0, 1, 2, HIDDEN]), labels(outfit=[0, 1, 3, 4]), named_only=False)["outfit"]
    assert (found.asked, found.right) == (3, 2)
    assert found.share == pytest.approx(2 / 3)


def test_unasked_glasses_are_wrong_only_where_everything_counts() -> None:
    expected, seen = labels(glasses=[1, 1, 0, 0]), labels(glasses=[1, 0, 0, 1])
    named, exact = (rates(expected, seen, named_only=only)["glasses"] for only in (True, False))
    assert (named.asked, named.right) == (2, 1)
    assert (exact.asked, exact.right) == (4, 2)


def test_the_first_value_of_what_cannot_be_absent_counts_as_asked() -> None:
    found = rates(labels(gender=[0, 0, 1]), labels(gender=[0, 1, 1]), named_only=True)["gender"]
    assert (found.asked, found.right) == (3, 2)


def test_chance_is_how_often_a_drawing_of_another_tag_set_would_pass() -> None:
    expected = labels(gender=[0, 0, 0, 1], glasses=[0, 0, 0, 1])
    found = rates(expected, expected, named_only=True)
    assert found["gender"].chance == pytest.approx(0.75 * 0.75 + 0.25 * 0.25)
    assert found["glasses"].chance == pytest.approx(0.25)


def test_nothing_asked_gives_no_rate_and_does_not_weigh_in_the_mean() -> None:
    expected = labels(outfit=[HIDDEN, HIDDEN], hair_style=[1, 1])
    found = rates(expected, labels(outfit=[0, 0], hair_style=[1, 0]), named_only=False)
    assert found["outfit"].asked == 0
    others = len(HEADLINE) - 2
    assert mean_share(found) == pytest.approx((others + 0.5) / (others + 1))


def test_the_mean_is_over_the_nine_attributes_that_count() -> None:
    truth = labels(blush=[1, 1], dark_skin=[1, 1], outfit_color=[1, 1])
    assert mean_share(rates(truth, labels(blush=[0, 0]), named_only=False)) == 1
    assert len(HEADLINE) == 9
    assert set(HEADLINE) < set(ATTRIBUTES)


def test_confusions_name_the_most_frequent_mistake_first() -> None:
    expected, seen = labels(gender=[0, 0, 1, 1], outfit=[HIDDEN, 0, 0, 0]), labels(gender=[1, 1, 0, 1], outfit=[3, 0, 0, 0])
    assert confusions(expected, seen) == ["gender: 1girl seen as 1boy, 2", "gender: 1boy seen as 1girl, 1"]


def test_the_distance_of_equal_sets_is_0_and_of_a_shifted_set_the_square_of_the_shift() -> None:
    one = np.random.default_rng(0).standard_normal((400, 6)) @ np.diag([3, 1, 1, 0.5, 2, 0])
    shift = np.array([1.0, -2.0, 0.0, 0.0, 0.5, 3.0])
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, one + shift) == pytest.approx(float(shift @ shift))


def test_the_distance_of_two_normal_distributions_is_the_known_one() -> None:
    """Along common axes it is the squared distance of the means and of the deviations."""
    white = np.random.default_rng(1).standard_normal((300, 4))
    white = (white - white.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white, rowvar=False))).T
    first, second = np.array([1.0, 2.0, 3.0, 0.5]), np.array([2.0, 2.0, 1.0, 0.1])

    found = frechet_distance(white * first, white * second + 1)

    assert found == pytest.approx(4 + float(((first - second) ** 2).sum()))


def test_the_distance_along_different_axes_follows_from_the_eigenvalues_of_the_product() -> None:
    rng = np.random.default_rng(2)
    one, two = (rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4)) for _ in range(2))
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    shift = one.mean(axis=0) - two.mean(axis=0)

    cross = np.sqrt(np.linalg.eigvals(first @ second).real).sum()

    assert frechet_distance(one, two) == pytest.approx(float(shift @ shift + np.trace(first + second) - 2 * cross))


def test_a_table_is_aligned() -> None:
    lines = table(["name", "a"], [["x", "100.0 %"], ["longer", "5.0 %"]]).splitlines()
    assert lines == ["name          a", "x       100.0 %", "longer    5.0 %"]


def test_a_report_without_a_model_tells_of_drawings_only() -> None:
    truth = labels(gender=[0, 1])
    report = Report(drawings=rates(truth, truth, named_only=False), confusions=[])
    assert report.text().splitlines()[0].split() == ["attribute", "asked", "drawings", "chance"]
    assert report.values()["attributes"]["gender"] == {"drawings": {"asked": 2, "right": 2, "share": 1.0, "chance": 0.5}}
