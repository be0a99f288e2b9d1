"""EC2's query protocol: what the fields mean, which things a filter picks, what a page holds."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from imagesmith.sandbox import ec2_query, ec2_wire
from imagesmith.sandbox.ec2_wire import EC2Error


@dataclass
class Pet:
    name: str
    tags: dict[str, str] = field(default_factory=dict)


PETS = [Pet("cat", {"team": "a"}), Pet("cow", {"team": "b"}), Pet("dog")]
FIELDS = {"name": lambda pet: [pet.name]}


def chosen(*filters: tuple[str, list[str]]) -> list[str]:
    given = [{"Name": name, "Value": values} for name, values in filters]
    return [pet.name for pet in ec2_query.filtered(PETS, given, FIELDS)]


def test_fields_become_a_tree() -> None:
    body = "Action=X&Filter.1.Name=tag%3Aa&Filter.1.Value.2=q&Filter.1.Value.1=p&Ebs.VolumeSize=9&Empty="
    assert ec2_wire.nested(body) == {
        "Action": "X",
        "Filter": [{"Name": "tag:a", "Value": ["p", "q"]}],
        "Ebs": {"VolumeSize": "9"},
        "Empty": "",
    }


def test_lists_are_in_the_order_of_their_numbers() -> None:
    body = "&".join(f"Id.{number}={number}" for number in (10, 9, 2, 1))
    assert ec2_wire.nested(body)["Id"] == ["1", "2", "9", "10"]


def test_contradicting_fields_are_refused() -> None:
    with pytest.raises(EC2Error, match="contradicts"):
        ec2_wire.nested("A=1&A.B=2")


def test_xml_escapes_and_leaves_out_what_is_absent() -> None:
    content = {"a": "<&>", "b": None, "c": [1, True], "d": {"e": ""}}
    assert ec2_wire.xml(content) == "<a>&lt;&amp;&gt;</a><c><item>1</item><item>true</item></c><d><e></e></d>"


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("debian-*", "debian-12", True),
        ("debian-*", "my-debian-12", False),
        ("c?t", "cat", True),
        ("c?t", "cart", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("*", "", True),
        ("Cat", "cat", False),
    ],
)
def test_wildcards(pattern: str, value: str, *, expected: bool) -> None:
    assert ec2_query.matches(pattern, value) is expected


def test_values_of_a_filter_are_or_and_filters_are_and() -> None:
    assert chosen(("name", ["cat", "dog"])) == ["cat", "dog"]
    assert chosen(("name", ["c*"]), ("tag:team", ["b"])) == ["cow"]
    assert chosen(("tag-key", ["team"])) == ["cat", "cow"]
    assert chosen(("tag-value", ["a"])) == ["cat"]
    assert chosen(("name", [])) == []


def test_unknown_filter_is_an_error() -> None:
    with pytest.raises(EC2Error, match="'colour' is invalid") as raised:
        chosen(("colour", ["red"]))
    assert raised.value.code == "InvalidParameterValue"


def test_pages_hold_everything_once() -> None:
    things, seen, token = list(range(12)), list[int](), None
    while True:
        shown, token = ec2_query.page({"MaxResults": "5", **({"NextToken": token} if token else {})}, things)
        seen += shown
        if token is None:
            break
    assert seen == things


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"MaxResults": "4"}, "InvalidParameterValue"),
        ({"MaxResults": "many"}, "InvalidParameterValue"),
        ({"MaxResults": "5", "NextToken": "!"}, "InvalidNextToken"),
    ],
)
def test_bad_pages(parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(EC2Error) as raised:
        ec2_query.page(parameters, [])
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("prefix", "thing_id", "code"),
    [
        ("i", "banana", "InvalidInstanceID.Malformed"),
        ("i", "i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("ami", "ami-12", "InvalidAMIID.Malformed"),
        ("ami", "ami-01234567", "InvalidAMIID.NotFound"),
        ("snap", "snap-01234567", "InvalidSnapshot.NotFound"),
        ("sg", "sg-01234567", "InvalidGroup.NotFound"),
    ],
)
def test_ids(prefix: str, thing_id: str, code: str) -> None:
    with pytest.raises(EC2Error) as raised:
        ec2_query.by_id({}, thing_id, prefix=prefix)
    assert raised.value.code == code


def test_reserved_tag_keys_are_refused() -> None:
    with pytest.raises(EC2Error, match="reserved"):
        ec2_query.tags_in([{"Key": "aws:mine", "Value": "x"}])
