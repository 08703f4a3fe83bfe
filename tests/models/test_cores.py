"""Laws of work on several cores: what comes out is what one core gives, whoever works beside it."""

from collections.abc import Iterator

import pytest
import torch

from models.cores import on_cores


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def product(seed: int) -> torch.Tensor:
    drawn = torch.randn(3, 96, 96, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.conv2d(drawn, drawn[:, None, :5, :5], groups=3) @ drawn[:, :92, :92]


def test_results_are_those_of_one_core_in_order(threads: int) -> None:
    together = on_cores(product, range(7))
    torch.set_num_threads(1)
    assert all(torch.equal(found, product(seed)) for seed, found in enumerate(together))


def test_each_has_one_core_and_the_caller_keeps_its_own(threads: int) -> None:
    assert on_cores(lambda _: torch.get_num_threads(), range(5)) == [1] * 5
    assert torch.get_num_threads() == threads


def test_nothing_gives_nothing_and_an_error_comes_out(threads: int) -> None:
    assert on_cores(product, []) == []

    def fails(number: int) -> int:
        if number == 2:
            raise ValueError("the third")
        return number

    with pytest.raises(ValueError, match="the third"):
        on_cores(fails, range(4))
