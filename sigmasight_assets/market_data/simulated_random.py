"""Random numbers of the simulated market, from a counter-based generator: any part of any stream can be drawn alone.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011), as numpy's Philox.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Streams of the whole market; those of the symbols follow from SYMBOLS on, one each.
LISTINGS, PARAMETERS, LATENT, SYMBOLS = range(4)
LIVES, ACTIONS, PROFILES = range(2**32, 2**32 + 3)
# Within the stream of a symbol: its path since the epoch, the shape of each bar, what goes wrong with the bar, and
# what the vendor of profiles makes of its beta each month.
PATH, SHAPE, DEFECT, VENDOR = range(4)

_NUMBERS_PER_BLOCK = 4


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of one seed."""

    seed: int

    def generator(self, stream: int, substream: int = 0, *, block: int = 0) -> np.random.Generator:
        """Random numbers of one stream, from its block ``block`` of four numbers on."""
        return np.random.Generator(np.random.Philox(key=[self.seed, stream], counter=[block, 0, 0, substream]))

    def uniforms(self, stream: int, substream: int, start: int, stop: int) -> Floats:
        """The numbers ``start`` to ``stop`` (exclusive) of one stream, uniform from 0 to 1."""
        block, skipped = divmod(start, _NUMBERS_PER_BLOCK)
        numbers: Floats = self.generator(stream, substream, block=block).random(skipped + stop - start)[skipped:]
        return numbers
