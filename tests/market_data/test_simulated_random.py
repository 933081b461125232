import numpy as np

from sigmasight_assets.market_data.simulated_random import DEFECT, PATH, SHAPE, SYMBOLS, Streams

STREAMS = Streams(7)


def test_any_part_of_a_stream_can_be_drawn_alone() -> None:
    whole = STREAMS.uniforms(SYMBOLS, DEFECT, 0, 40)
    for start, stop in ((0, 40), (1, 2), (3, 9), (4, 8), (39, 40), (17, 17)):
        assert np.array_equal(STREAMS.uniforms(SYMBOLS, DEFECT, start, stop), whole[start:stop])


def test_a_block_is_four_numbers() -> None:
    whole = STREAMS.generator(SYMBOLS, SHAPE).random((10, 4))
    assert np.array_equal(STREAMS.generator(SYMBOLS, SHAPE, block=6).random((4, 4)), whole[6:])


def test_streams_and_seeds_differ() -> None:
    drawn = [
        streams.generator(stream, substream).random()
        for streams in (STREAMS, Streams(8))
        for stream in (SYMBOLS, SYMBOLS + 1)
        for substream in (PATH, DEFECT)
    ]
    assert len(set(drawn)) == len(drawn)
