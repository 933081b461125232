from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, Quality, Reason


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


def test_spreads_have_the_long_window_and_the_rest_the_short_one() -> None:
    limits = [(factor.window, factor.min_observations, factor.full_observations) for factor in FACTORS]
    assert limits == [(90, 30, 60)] * 8 + [(180, 60, 120)] * 4


def test_every_proxy_is_a_factor_fund_and_every_fund_is_used() -> None:
    assert {proxy for factor in FACTORS for proxy in factor.proxies} == set(FACTOR_ETFS)


def test_labels_are_the_words_of_the_contract() -> None:
    assert [quality.label for quality in Quality] == ["none", "full", "limited", "suspect"]
    assert [reason.label for reason in Reason] == ["none", "no_price", "short_history", "constant"]
