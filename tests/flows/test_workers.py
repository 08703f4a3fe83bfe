"""Work in several processes: results in order, errors as they are, and a lost process is told."""

import os
import signal
from collections.abc import Callable
from functools import partial

import pytest

from flows.steps import PlainSteps
from flows.workers import WorkerLostError, at_work


def scaler(factor: int) -> Callable[[int], tuple[int, int]]:
    """A work whose results say which process they come from."""

    def work(number: int) -> tuple[int, int]:
        if number < 0:
            raise ValueError(f"{number} is negative")
        if number == 99:
            os.kill(os.getpid(), signal.SIGKILL)
        return factor * number, os.getpid()

    return work


def unopened() -> Callable[[int], int]:
    raise FileNotFoundError("no model here")


def test_results_come_in_order_and_from_other_processes() -> None:
    with at_work(2, partial(scaler, 3)) as work:
        found = PlainSteps().each("scale", work, range(12), at_once=2)
    assert [value for value, _ in found] == [3 * number for number in range(12)]
    makers = {process for _, process in found}
    assert os.getpid() not in makers and len(makers) <= 2


def test_an_error_of_the_work_comes_through_and_ends_the_rest() -> None:
    with at_work(2, partial(scaler, 1)) as work:
        with pytest.raises(ValueError, match="-1 is negative"):
            PlainSteps().each("scale", work, [1, -1, 2, 3], at_once=2)
        assert work(5)[0] == 5, "the processes are still there"


def test_an_error_at_opening_comes_through() -> None:
    with at_work(2, unopened) as work, pytest.raises(FileNotFoundError, match="no model here"):
        work(1)


def test_a_lost_process_is_told() -> None:
    with at_work(2, partial(scaler, 1)) as work, pytest.raises(WorkerLostError, match="killed or ran out of memory"):
        work(99)


@pytest.mark.parametrize("at_once", [1, 3])
def test_steps_are_begun_in_order_and_told(at_once: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert PlainSteps().each("double", lambda item: 2 * item, [1, 2, 3], at_once) == [2, 4, 6]
    assert sorted(capsys.readouterr().out.split("\n")[:-1]) == [f"double {i}/3 ..." for i in (1, 2, 3)]
