import os
from pathlib import Path

import pytest

_DATA = Path(os.environ.get("SELFTRAIN_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets, each in the schema it was published in."""
    if not _DATA.is_dir():
        pytest.skip(f"no real data at {_DATA}; set SELFTRAIN_DATA to the folder that holds gsm8k/, multiarith/, ...")
    return _DATA
