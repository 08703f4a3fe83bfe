"""Paired differences: antisymmetric, zero between equals, and as narrow as pairing allows."""

import numpy as np
import pytest

from models.success import CaseScore, Conditions
from training.compare import paired_difference
from training.evaluate import ScoredCase

ALL_MET = Conditions(True, True, True, True, True)
NONE_MET = Conditions(False, True, True, True, True)


def case(number: int, value: float | None, met: bool = True) -> ScoredCase:
    score = CaseScore(value, value, 0.0, None, 1.0, 0.5, 0.5, ALL_MET if met else NONE_MET)
    task = ("add", "remove")[number % 2]
    return ScoredCase(
        case_id=f"case-{number}", system="any", task=task, scene=f"scene-{number % 5}", kind="clip", score=score
    )


def system(shift: float, seeds: int = 3, count: int = 20) -> list[list[ScoredCase]]:
    """PSNR that differs widely between cases, little between seeds."""
    levels = np.random.default_rng(0).uniform(10, 40, count)
    return [
        [case(number, float(level + shift + 0.01 * seed)) for number, level in enumerate(levels)]
        for seed in range(seeds)
    ]


def test_a_system_does_not_differ_from_itself() -> None:
    found = paired_difference(system(0), system(0), "edit_psnr", seed=0, resamples=200)
    assert (found.value, found.low, found.high) == (0, 0, 0) and found.cases == 20


def test_a_constant_gain_is_found_exactly_however_much_cases_differ() -> None:
    found = paired_difference(system(1.5), system(0), "edit_psnr", seed=0, resamples=200)
    assert found.value == pytest.approx(1.5) and found.low == pytest.approx(1.5) and found.high == pytest.approx(1.5)
    assert found.new - found.old == pytest.approx(1.5) and found.scatter == pytest.approx(0.01)


def test_turned_round_the_difference_changes_its_sign() -> None:
    rng = np.random.default_rng(1)
    sides = [[[case(n, float(rng.normal(20, 3))) for n in range(20)] for _ in range(2)] for _ in range(2)]
    there = paired_difference(*sides, "edit_psnr", seed=4, resamples=500)
    back = paired_difference(*reversed(sides), "edit_psnr", seed=4, resamples=500)
    assert there.value == pytest.approx(-back.value)
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))


def test_without_a_case_there_is_no_difference() -> None:
    found = paired_difference([[], []], [[], []], "edit_psnr", seed=0, resamples=50)
    assert found.cases == 0 and np.isnan(found.value)


def test_seeds_may_be_of_different_number() -> None:
    found = paired_difference(system(0, seeds=3), system(0, seeds=1), "edit_psnr", seed=0, resamples=50)
    assert found.value == pytest.approx(0.01)


def test_rates_are_means_per_task_first() -> None:
    """Of three additions one succeeds, of one removal one: 2/3, not 1/2."""
    new = [[case(0, 1.0), case(2, 1.0, met=False), case(4, 1.0, met=False), case(1, 1.0)]]
    old = [[case(number, 1.0, met=False) for number in (0, 2, 4, 1)]]
    found = paired_difference(new, old, "success", seed=0, resamples=50)
    assert (found.new, found.old) == (pytest.approx(2 / 3), 0)


def test_cases_without_a_value_are_left_out_and_none_at_all_is_nan() -> None:
    new, old = [[case(0, 2.0), case(1, None)]], [[case(0, 1.0), case(1, 1.0)]]
    found = paired_difference(new, old, "edit_psnr", seed=0, resamples=50)
    assert (found.cases, found.value) == (1, 1.0)
    none = paired_difference(new, old, "flicker", seed=0, resamples=50)
    assert none.cases == 0 and np.isnan(none.value)


def test_different_cases_do_not_compare() -> None:
    with pytest.raises(ValueError, match="different cases"):
        paired_difference([[case(0, 1.0)]], [[case(1, 1.0)]], "edit_psnr", seed=0, resamples=50)
    with pytest.raises(ValueError, match="seeds of a system"):
        paired_difference([[case(0, 1.0)], [case(1, 1.0)]], [[case(0, 1.0)]], "edit_psnr", seed=0, resamples=50)
