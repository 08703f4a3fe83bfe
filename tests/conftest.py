"""What holds for every test."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def _threads_are_left_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Digests depend on the number of threads: a module that changes it would fail others, far from itself."""
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before, f"{request.module.__name__} changed the number of threads"
