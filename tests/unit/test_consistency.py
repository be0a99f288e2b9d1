"""The verdict on a build's images: what counts as the same, what may differ, and who agrees with whom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesmith.allowances import Allowance
from imagesmith.consistency import RULES, Comparison, Verdict, compare, sentence, table
from imagesmith.inventory import Group, Inventory, Package, SetuidFile, User
from imagesmith.things import Kind, changes


def inventory(*packages: str | Package, **changes: Any) -> Inventory:
    """A Debian with some packages, each `name=version`."""
    wanted: dict[str, Any] = {
        "os": {"ID": "debian", "VERSION_ID": "12"},
        "kernel": "6.1.0-18-amd64",
        "architecture": "x86_64",
        "packages": tuple(each if isinstance(each, Package) else package(each) for each in packages),
        "services": ("cron.service", "ssh.service"),
        "configuration": {"/etc/motd": "a" * 64},
    }
    return Inventory(**{**wanted, **changes})


def package(words: str, **more: str) -> Package:
    name, _, version = words.partition("=")
    wanted = {"manager": "dpkg", "name": name, "version": version, "architecture": "amd64"}
    return Package.model_validate({**wanted, **more})


def compared(inventories: dict[str, Inventory | None], *allowances: Allowance) -> Comparison:
    found = compare(inventories, allowances)
    assert found is not None
    return found


def names(comparison: Comparison) -> list[str]:
    return [f"{each.kind} {each.name}" for each in comparison.forbidden]


def test_images_with_the_same_content_are_identical() -> None:
    found = compared({"ec2": inventory("dstat=0.7"), "hotel": inventory("dstat=0.7")})
    assert (found.verdict, found.differences, found.agreeing) == (Verdict.IDENTICAL, (), (("ec2", "hotel"),))


def test_a_package_that_one_cloud_has_alone_is_named_and_nothing_else() -> None:
    plain, more = inventory("bash=5.2", "dstat=0.7"), inventory("bash=5.2", "cowsay=3.03", "dstat=0.7")
    found = compared({"ec2": plain, "hotel": more, "xen": plain})
    assert found.verdict is Verdict.DIFFERENT
    assert names(found) == ["package cowsay"]
    assert found.forbidden[0].values == {"ec2": "", "hotel": "3.03", "xen": ""}
    assert found.agreeing == (("ec2", "xen"), ("hotel",))
    assert found.forbidden[0].agreeing == [["ec2", "xen"], ["hotel"]]
    assert table(found) == ["KIND     NAME    ec2  hotel  xen", "package  cowsay  -    3.03   -"]
    assert sentence(found) == "different: 1 difference that nothing allows; clouds that agree: ec2, xen | hotel"


def test_versions_of_three_clouds_stand_beside_each_other() -> None:
    found = compared({cloud: inventory(f"openssl=3.0.{minor}") for cloud, minor in (("a", 1), ("b", 2), ("c", 2))})
    assert table(found)[1].split() == ["package", "openssl", "3.0.1", "3.0.2", "3.0.2"]
    assert found.agreeing == (("b", "c"), ("a",))


OF_THE_CLOUD = {
    "kernel": {"kernel": "6.1.0-18-cloud-amd64", "packages": (package("linux-image-6.1.0-18-cloud-amd64=6.1"),)},
    "boot": {"boot": ("console=ttyS0", "root=/dev/xvda1"), "configuration": {"/etc/motd": "a" * 64, "/etc/fstab": "b"}},
    "cloud agents": {
        "packages": (package("amazon-ssm-agent=3.2"), package("cloud-init=23.4")),
        "services": ("amazon-ssm-agent.service", "cloud-init.service", "cron.service", "ssh.service"),
        "configuration": {"/etc/motd": "a" * 64, "/etc/cloud/cloud.cfg": "c" * 64},
    },
    "hypervisor": {"packages": (package("xe-guest-utilities=7.20"),), "configuration": {"/etc/motd": "a" * 64}},
}


@pytest.mark.parametrize("rule", OF_THE_CLOUD)
def test_what_no_cloud_can_avoid_may_differ_with_its_reason(rule: str) -> None:
    found = compared({"ec2": inventory(), "hotel": inventory(**OF_THE_CLOUD[rule])})
    assert found.verdict is Verdict.EQUAL, names(found)
    reason = next(each.reason for each in RULES if each.name == rule)
    assert {each.allowed for each in found.differences} == {f"{rule}: {reason}"}
    assert table(found) == []
    assert len(table(found, allowed=True)) == len(found.differences) + 1


def test_every_built_in_rule_has_a_case_here() -> None:
    assert {rule.name for rule in RULES} == set(OF_THE_CLOUD)


def test_a_generator_allows_what_it_names_and_no_more() -> None:
    own = {"configuration": {"/etc/motd": "b" * 64}, "services": ("cron.service", "nfs.service", "ssh.service")}
    clouds: dict[str, Inventory | None] = {"ec2": inventory("dstat=1"), "hotel": inventory("dstat=2", **own)}
    by_path = Allowance(path="/etc/mo*", reason="each site greets in its own words")
    assert names(compared(clouds, by_path)) == ["package dstat", "service nfs.service"]
    rest = (Allowance(package="dsta?", reason="r1"), Allowance(service="nfs*", reason="r2"))
    found = compared(clouds, by_path, *rest)
    assert found.verdict is Verdict.EQUAL
    assert [each.allowed for each in found.differences] == ["r1", "r2", "each site greets in its own words"]


def test_an_allowance_for_packages_covers_where_they_came_from_but_no_service_of_that_name() -> None:
    one = inventory(package("ntp=1", origin="Debian"), services=("ntp",))
    other = inventory(package("ntp=1", origin="elsewhere"), services=())
    clouds: dict[str, Inventory | None] = {"a": one, "b": other}
    assert names(compared(clouds)) == ["origin ntp", "service ntp"]
    assert names(compared(clouds, Allowance(package="ntp", reason="mirrors"))) == ["service ntp"]


def test_another_origin_of_another_version_says_nothing_new() -> None:
    one, other = package("ntp=1", origin="Debian"), package("ntp=2", origin="elsewhere")
    assert names(compared({"a": inventory(one), "b": inventory(other)})) == ["package ntp"]


def test_an_image_nobody_looked_into_makes_the_verdict_unknown_unless_others_differ() -> None:
    found = compared({"a": inventory("x=1"), "b": None, "c": inventory("x=1")})
    assert (found.verdict, found.unseen) == (Verdict.UNKNOWN, ("b",))
    assert sentence(found) == "unknown: nobody looked into the image of b"
    assert compared({"a": inventory("x=1"), "b": None, "c": inventory("x=2")}).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("inventories", [{}, {"ec2": inventory()}])
def test_fewer_than_two_images_have_no_verdict(inventories: dict[str, Inventory]) -> None:
    assert compare(inventories) is None


def test_a_comparison_is_the_same_after_json() -> None:
    found = compared({"a": inventory("x=1"), "b": inventory("x=2")}, Allowance(package="y", reason="r"))
    assert Comparison.model_validate(found.model_dump(mode="json")) == found


def test_a_long_table_says_how_much_it_leaves_out() -> None:
    found = compared({"a": inventory(), "b": inventory(*(f"p{number}=1" for number in range(30)))})
    assert len(table(found, most=20)) == 22
    assert table(found, most=20)[-1] == "and 10 more"


def test_changes_name_what_was_added_removed_and_changed_of_every_kind() -> None:
    before = inventory("gone=1", "same=1", "up=1", users=(User(name="ann", uid=1, gid=1, home="/", shell="/bin/sh"),))
    after = inventory(
        *("new=1", "same=1", "up=2"),
        users=(User(name="ann", uid=1, gid=1, home="/", shell="/bin/sh", locked=False),),
        groups=(Group(name="staff", gid=50, members=("ann",)),),
        setuid=(SetuidFile(path="/usr/bin/su", mode="4755", owner="root:root"),),
        sockets=("tcp 0.0.0.0:22",),
        os={"ID": "debian", "VERSION_ID": "13"},
    )
    found = [(str(each.thing), each.how, each.before, each.after) for each in changes(before, after)]
    assert found == [
        ("package gone", "removed", "1", ""),
        ("package new", "added", "", "1"),
        ("package up", "changed", "1", "2"),
        ("user ann", "changed", "1:1 / /bin/sh locked", "1:1 / /bin/sh with a password"),
        ("group staff", "added", "", "50 ann"),
        ("socket tcp 0.0.0.0:22", "added", "", "listening"),
        ("setuid /usr/bin/su", "added", "", "4755 root:root"),
        ("os VERSION_ID", "changed", "12", "13"),
    ]


def test_a_package_of_a_foreign_architecture_and_one_of_a_language_are_told_apart() -> None:
    packages = [package("libc6=2.36"), package("libc6=2.36", architecture="i386"), package("all=1", architecture="all")]
    language = package("libc6=9", manager="pip", architecture="")
    before, after = inventory(*packages[:1], packages[2]), inventory(*packages, language)
    found = {str(each.thing): each.after for each in changes(before, after)}
    assert found == {"package libc6": "2.36, 2.36 (i386)", "package pip:libc6": "9"}


PACKAGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("123")), unique_by=lambda pair: pair[0])


@given(before=PACKAGES, after=PACKAGES)
def test_changes_lead_from_one_inventory_to_the_other_and_back(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    one, other = (inventory(*(f"{name}={version}" for name, version in some)) for some in (before, after))
    there, back = changes(one, other), changes(other, one)
    assert [(each.thing, each.before, each.after) for each in there] == [
        (each.thing, each.after, each.before) for each in back
    ]
    state = dict(before)
    for each in there:
        assert each.thing.kind is Kind.PACKAGE
        if each.after:
            state[each.thing.name] = each.after
        else:
            del state[each.thing.name]
    assert state == dict(after)
