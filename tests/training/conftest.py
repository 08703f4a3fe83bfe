"""One tiny world in which every training of this room runs, each under a key of its own."""

import pytest

from tests.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("training"))
