"""Tables that several tests of this room read, made once."""

from dataclasses import dataclass

import pyarrow as pa
import pytest

from features.pairs import PairSetting
from flows.params import Params
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import CLIPS, CONSTANTS, EDIT_PAIRS
from stores.state import State
from tests.world import ingested, pair_setting, paired, raw_folder, tiny_params


@dataclass(frozen=True)
class Made:
    """Clips and pairs of a few real photographs and clips."""

    state: State
    params: Params
    clips: Receipt
    pairs: Receipt
    setting: PairSetting

    def rows(self, table: str) -> pa.Table:
        folder, receipt = ("clips", self.clips) if table == CLIPS.name else ("pairs-one", self.pairs)
        return FeatureStore(self.state.store, folder).open(receipt.table(table)).rows()

    @property
    def pair_rows(self) -> list[dict]:
        return self.rows(EDIT_PAIRS.name).to_pylist()

    @property
    def constants(self) -> list[dict]:
        return self.rows(CONSTANTS.name).to_pylist()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("features")
    state, params = State.at(folder / "state"), tiny_params()
    clips = ingested(state, raw_folder(folder / "raw"), params)
    setting = pair_setting(state, clips, params)
    return Made(state, params, clips, paired(state, setting, params.features), setting)
