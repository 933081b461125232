"""The pictures are well-formed, show what their numbers say, and are short enough to be shown at once."""

import re
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from sigmasight_assets.orchestration import svg
from sigmasight_assets.orchestration.svg import LEFT, WIDTH, Spread

PATH = "{http://www.w3.org/2000/svg}path"


def parsed(drawing: str) -> ElementTree.Element:
    """The drawing as XML; it is our own text."""
    return ElementTree.fromstring(drawing)  # noqa: S314


def paths(drawing: str) -> dict[str, list[str]]:
    """Shapes by colour."""
    found: dict[str, list[str]] = {}
    for item in parsed(drawing).iter(PATH):
        colour = item.get("stroke") or item.get("fill") or ""
        found.setdefault(colour, []).append(item.get("d") or "")
    return found


def words(drawing: str) -> list[str]:
    return [item.text or "" for item in parsed(drawing).iter("{http://www.w3.org/2000/svg}text")]


def percent(value: float) -> str:
    return f"{value:.0%}"


class TestMarkdown:
    def test_the_address_gives_back_the_drawing(self) -> None:
        drawing = svg.bars([("P&L < 0 (a)", -1.0), ("100 % # b", 2.0)])
        text = svg.markdown(drawing, "two bars", "below")
        found = re.fullmatch(r"!\[two bars]\(<data:image/svg\+xml,([^<>&#\n]*)>\)\n\nbelow", text)
        assert found is not None
        assert unquote(found[1]) == drawing
        assert words(drawing) == ["P&L < 0 (a)", "100 % # b"]

    def test_words_do_not_end_the_picture(self) -> None:
        text = svg.markdown("<svg/>", "a [b](c)\nd\\e")
        assert text.startswith("![a (b)(c) d/e](<data:")


class TestHistogram:
    def test_a_bar_is_as_tall_as_its_share(self) -> None:
        values = np.array([0.0] * 3 + [1.0])
        drawing = svg.histogram(values, None, percent, bins=2)
        assert paths(drawing) == {"steelblue": [f"M0 66v-60h{WIDTH // 2}v40h{WIDTH // 2}V66"]}
        assert words(drawing) == ["0%", "98%"]

    def test_before_is_a_line_of_its_own_shares(self) -> None:
        now, before = np.array([0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])
        found = paths(svg.histogram(now, before, percent, bins=2))
        assert found["steelblue"] == [f"M0 66v-40h{WIDTH // 2}h{WIDTH // 2}V66"]
        assert found["darkorange"] == [f"M0 66v-60h{WIDTH // 2}v40h{WIDTH // 2}V66"]

    def test_what_is_far_out_stands_at_the_end(self) -> None:
        values = np.concatenate([np.linspace(0, 1, 999), [1e6]])
        assert words(svg.histogram(values, None, lambda value: f"{value:.1f}"))[1] == "1.0"

    def test_equal_values_have_a_place(self) -> None:
        assert words(svg.histogram(np.ones(5), None, lambda value: f"{value:.1f}")) == ["0.5", "1.5"]


class TestRanges:
    ROW = Spread("a", np.array([-1.0, 0.0, 1.0, 2.0, 3.0]), 2.0)

    def test_lines_reach_from_percentile_to_percentile(self) -> None:
        found = paths(svg.ranges([self.ROW]))
        unit = (WIDTH - LEFT) / 4
        assert found["steelblue"] == [f"M{LEFT} 10H{WIDTH}", f"M{round(LEFT + unit)} 10H{round(LEFT + 3 * unit)}"]
        assert found["white"] == [f"M{round(LEFT + 2 * unit)} 7v7"]
        assert found["darkorange"] == [f"M{round(LEFT + 3 * unit)} 5v11"]
        assert found["silver"] == [f"M{round(LEFT + unit)} 0V16"]

    def test_a_row_without_value_has_its_label_alone(self) -> None:
        nothing = Spread("b", np.full(5, np.nan))
        drawing = svg.ranges([nothing, self.ROW])
        assert words(drawing) == ["b", "a"]
        assert [shape.count("M") for shape in paths(drawing)["steelblue"]] == [1, 1]

    def test_without_before_there_is_no_orange(self) -> None:
        assert "darkorange" not in paths(svg.ranges([Spread("a", np.arange(5.0))]))


def test_bars_lie_on_either_side_of_zero() -> None:
    (shape,) = paths(svg.bars([("up", 3.0), ("down", -1.0)]))["steelblue"]
    zero = round(LEFT + (WIDTH - LEFT) / 4)
    assert shape == f"M{zero} 10H{WIDTH}M{zero} 26H{LEFT}"


def test_strip_colours_by_limit_and_leaves_gaps() -> None:
    values = [1.0, 1.0, 0.99, np.nan, 0.95, 0.5]
    found = paths(svg.strip([("a", values)], (0.9, 0.98, 0.999)))
    cell = (WIDTH - LEFT) / 6
    assert found == {
        "crimson": [f"M{round(LEFT + 5 * cell)} 10h{round(cell)}"],
        "orange": [f"M{round(LEFT + 4 * cell)} 10h{round(cell)}"],
        "lightblue": [f"M{round(LEFT + 2 * cell)} 10h{round(cell)}"],
        "steelblue": [f"M{LEFT} 10h{round(2 * cell)}"],
    }


@pytest.mark.parametrize(("value", "colour"), [(0.9, "navy"), (0.5, "blue"), (-0.9, "red")])
def test_grid_colours_cells_of_the_lower_triangle(value: float, colour: str) -> None:
    matrix = np.array([[1.0, 0.0], [value, 1.0]])
    found = paths(svg.grid(matrix, ((0.8, "navy"), (0.0, "blue"), (-1.0, "red"))))
    assert found == {colour: ["M0 10h15"]}
