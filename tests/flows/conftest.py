"""One tiny checkout a session, in which the whole chain has run once, plainly and without a break."""

import pytest

from flows.settings import apply_environment
from tests.flows.checkout import Made, tiny_checkout

apply_environment()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Tests may add to it; one that changes what is there puts it back."""
    checkout = tiny_checkout(tmp_path_factory.mktemp("flows") / "checkout")
    checkout.chain()
    return Made(checkout, checkout.receipts())
