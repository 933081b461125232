"""Names for the array types that the mathematics exchanges.

Orientation is the same everywhere: rows are sessions in ascending order, columns are symbols, and a missing number is
NaN. Shapes are stated in the docstrings of the functions, not in these types.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
# Values of a small enumeration, such as Quality or Reason.
CodeArray: TypeAlias = NDArray[np.int8]
# datetime64[D]; the unit is a matter of the value, not of the type.
DateArray: TypeAlias = NDArray[np.datetime64]
