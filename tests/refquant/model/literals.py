"""Arrays as literals: `np.float32([...])` is one, too, but type checkers read it as a scalar."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def f64(values: Any) -> NDArray[np.float64]:
    return np.array(values, np.float64)


def i8(values: Any) -> NDArray[np.int8]:
    return np.array(values, np.int8)


def u8(values: Any) -> NDArray[np.uint8]:
    return np.array(values, np.uint8)


def i32(values: Any) -> NDArray[np.int32]:
    return np.array(values, np.int32)
