"""One function makes the vectors of norm 1 that everything compares."""

import numpy as np
import pytest

from memtriggers.lance.unit import unit_norm


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_get_norm_one_and_keep_their_direction_and_type(dtype: type[np.float64]) -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 512)).astype(dtype)
    unit = unit_norm(vectors)
    assert unit.dtype == dtype
    assert np.linalg.norm(unit, axis=1) == pytest.approx(1, abs=1e-6)
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit.tobytes() == expected.tobytes()
    assert unit_norm(vectors[0]).tobytes() == unit[0].tobytes(), "one vector as one of many"


@pytest.mark.filterwarnings("error")
def test_what_has_no_finite_direction_is_not_finite_or_zero() -> None:
    vectors = np.array([[0, 0], [np.nan, 1], [np.inf, 1], [1e30, 1e30]], np.float32)
    unit = unit_norm(vectors)
    assert np.isnan(unit[:2]).all()
    assert np.isnan(unit[2, 0]) and unit[2, 1] == 0
    assert unit[3].tolist() == [0, 0], "its squares overflow"
