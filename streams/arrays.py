"""Kinds of numpy arrays, by name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.intp]
"""Numbers of rows, or of places in other arrays."""
