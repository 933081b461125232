"""What `make mutants` objects to, and that the list of survivors is one."""

from pathlib import Path

import pytest

from tests.mutation.judging import Row, accepted_survivors, judge, table
from tests.mutation.mutants import Mutant

ROOT = Path(__file__).resolve().parents[2]
LIST = '[[survivors]]\nmodule = "quant/a.py"\nreason = "{reason}"\nchanges = ["f: 1 => 2", "g: 3 => 4"]\n'


def mutant(change: str, function: str = "f", path: str = "sigmasight_assets/quant/a.py") -> Mutant:
    return Mutant(Path(path), function, change, source=change)


KILLED = {mutant(str(number)): "a test" for number in range(19)}


def test_a_survivor_with_a_reason_is_accepted() -> None:
    survivor = {mutant("1 => 2"): ""}
    judgement = judge(KILLED | survivor, {("quant/a.py", "f: 1 => 2"): "the same"})
    assert judgement.complaints == ()
    assert judgement.rows == (Row("quant/a.py", mutants=20, survivors=1),)
    assert table(judgement.rows).splitlines()[2:] == [
        "| quant/a.py | 20 | 19 | 1 | 0 | 95.0 % |",
        "| all | 20 | 19 | 1 | 0 | 95.0 % |",
    ]


def test_a_survivor_without_a_reason_is_named() -> None:
    judgement = judge(KILLED | {mutant("1 => 2", function=""): ""}, {})
    assert judgement.complaints == ("survives without a reason: quant/a.py: 1 => 2",)
    assert judgement.rows == (Row("quant/a.py", mutants=20, survivors=0, unexplained=1),)


def test_a_mutant_that_was_not_tried_is_neither_killed_nor_a_survivor() -> None:
    missed = mutant("1 => 2")
    judgement = judge(KILLED | {missed: ""}, {("quant/a.py", "f: 1 => 2"): "the same"}, {missed: "no server"})
    assert judgement.complaints == ("was not tried: quant/a.py: f: 1 => 2: no server",)
    assert judgement.rows == (Row("quant/a.py", mutants=20, survivors=0, unexplained=1),)


def test_a_reason_without_a_survivor_is_named_when_its_module_was_tried() -> None:
    judgement = judge(KILLED, {("quant/a.py", "f: 1 => 2"): "the same", ("quant/b.py", "f: 1 => 2"): "the same"})
    assert judgement.complaints == ("has a reason to survive, and does not: quant/a.py: f: 1 => 2",)


@pytest.mark.parametrize(("survivors", "is_too_many"), [(2, False), (3, True)])
def test_one_in_ten_may_survive(survivors: int, *, is_too_many: bool) -> None:
    killers = {mutant(str(number)): "" if number < survivors else "a test" for number in range(20)}
    judgement = judge(killers, {("quant/a.py", f"f: {number}"): "the same" for number in range(survivors)})
    assert judgement.complaints == (("17 of 20 are killed, fewer than nine in ten",) if is_too_many else ())


def test_a_reason_counts_for_several_changes(tmp_path: Path) -> None:
    path = tmp_path / "survivors.toml"
    path.write_text(LIST.format(reason="the same"), encoding="utf-8")
    assert accepted_survivors(path) == {
        ("quant/a.py", "f: 1 => 2"): "the same",
        ("quant/a.py", "g: 3 => 4"): "the same",
    }
    path.write_text(LIST.format(reason=" "), encoding="utf-8")
    with pytest.raises(ValueError, match="without a reason"):
        accepted_survivors(path)


def test_the_list_names_modules_that_exist() -> None:
    for module, change in accepted_survivors(Path(__file__).with_name("survivors.toml")):
        assert (ROOT / "sigmasight_assets" / module).is_file()
        assert " => " in change
