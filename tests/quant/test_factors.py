from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS, FACTORS, RIDGE_PENALTY, Quality, Reason


def test_the_factors_are_those_of_the_contract_in_its_order() -> None:
    assert [factor.name for factor in FACTORS] == [
        "Market Beta",
        "IR Beta",
        "Value",
        "Growth",
        "Momentum",
        "Quality",
        "Size",
        "Low Volatility",
        "Growth-Value Spread",
        "Momentum Spread",
        "Size Spread",
        "Quality Spread",
    ]
    assert [factor.proxies for factor in FACTORS[8:]] == [
        ("VUG", "VTV"),
        ("MTUM", "SPY"),
        ("IWM", "SPY"),
        ("QUAL", "SPY"),
    ]


def test_the_funds_are_in_the_order_of_the_stored_covariances() -> None:
    assert FACTOR_ETFS == ("SPY", "TLT", "VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
    assert [factor.proxies for factor in FACTORS[:8]] == [(fund,) for fund in FACTOR_ETFS]


def test_the_six_styles_share_a_ridge_regression_and_the_rest_are_least_squares() -> None:
    assert [factor.estimator for factor in FACTORS] == ["ols"] * 2 + ["ridge"] * 6 + ["ols"] * 4
    assert (BETA_CAP, RIDGE_PENALTY) == (5.0, 1.0)


def test_spreads_have_the_long_window_and_the_rest_the_short_one() -> None:
    limits = [(factor.window, factor.min_observations, factor.full_observations) for factor in FACTORS]
    assert limits == [(90, 30, 60)] * 8 + [(180, 60, 120)] * 4


def test_every_proxy_is_a_factor_fund_and_every_fund_is_used() -> None:
    assert {proxy for factor in FACTORS for proxy in factor.proxies} == set(FACTOR_ETFS)


def test_labels_are_the_words_of_the_contract() -> None:
    assert [quality.label for quality in Quality] == ["none", "full", "limited", "suspect"]
    assert [reason.label for reason in Reason] == ["none", "no_price", "short_history", "constant"]


def test_codes_are_those_that_are_stored() -> None:
    assert [quality.value for quality in Quality] == [0, 1, 2, 3]
    assert [reason.value for reason in Reason] == [0, 1, 2, 3]
