"""Names for the array types that the mathematics exchanges.

Orientation is the same everywhere: rows are sessions in ascending order, columns are symbols, and a missing number is
NaN. Shapes are stated in the docstrings of the functions, not in these types.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# Values of a small enumeration, such as Quality or Reason.
CodeArray = NDArray[np.int8]
# datetime64[D]; the unit is a matter of the value, not of the type.
DateArray = NDArray[np.datetime64]
