import numpy as np
from numpy.testing import assert_array_equal

from sigmasight_assets.quant.factors import Quality, Reason
from sigmasight_assets.quant.gram import Regression
from sigmasight_assets.quant.publishable import capped, missing_reasons, qualities

REGRESSION = Regression(
    np.zeros((1, 1, 5)), np.ones((1, 5), dtype=np.bool_), window=90, min_observations=30, full_observations=60
)


def test_the_first_reason_that_applies_is_given() -> None:
    n = np.array([[[10.0, 10.0, 30.0, 30.0]]])
    constant = np.array([[[True, True, True, False]]])
    priced = np.array([[False, True, True, True]])
    reason = missing_reasons(REGRESSION, n, priced=priced, constant=constant)
    assert_array_equal(reason[0, 0], [Reason.NO_PRICE, Reason.SHORT_HISTORY, Reason.CONSTANT, Reason.NONE])
    assert reason.dtype == np.int8


def test_quality_is_none_without_a_value() -> None:
    n = np.array([30.0, 59.0, 60.0, 90.0])
    quality = qualities(REGRESSION, n, known=np.array([True, True, True, False]))
    assert_array_equal(quality, [Quality.LIMITED, Quality.LIMITED, Quality.FULL, Quality.NONE])
    assert quality.dtype == np.int8


def test_the_bound_itself_is_not_capped() -> None:
    beta, is_capped = capped(np.array([-7.0, -5.0, 0.5, 5.0, 5.0000001, np.nan]))
    assert_array_equal(beta, [-5.0, -5.0, 0.5, 5.0, 5.0, np.nan])
    assert_array_equal(is_capped, [True, False, False, False, True, False])
