from sigmasight_assets.quant.snapshots import LotStatus, PositionValues, Snapshots


def test_columns_have_their_types_and_shape() -> None:
    snapshots = Snapshots.allocate(2, 3)
    assert snapshots.equity.shape == (2, 3)
    columns = (snapshots.equity, snapshots.positions, snapshots.exists, snapshots.is_partial)
    assert [column.dtype.name for column in columns] == ["int64", "int64", "bool", "bool"]
    assert snapshots.daily_return.dtype == snapshots.priced_share.dtype == float


def test_what_is_written_to_one_session_is_written_to_the_whole() -> None:
    values = PositionValues.allocate(2, 3)
    values.at(1).status[2] = LotStatus.STALE
    assert values.status.tolist() == [[0, 0, 0], [0, 0, 2]]
    assert values.held.tolist() == [[False] * 3, [False, False, True]]


def test_a_row_takes_26_bytes_a_lot() -> None:
    values = PositionValues.allocate(1, 100)
    assert sum(column.nbytes for column in vars(values).values()) == 2_600


def test_labels_are_the_words_that_are_stored() -> None:
    assert [status.label for status in LotStatus] == ["not_held", "priced", "stale", "unpriced"]
    assert [status.value for status in LotStatus] == [0, 1, 2, 3]
