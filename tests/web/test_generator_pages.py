"""Generators through their pages: what a form shows is what the file says, and what is saved is what was typed."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from imagesmith.core import TargetState

from .conftest import SCRIPT, TOOLS, Web
from .fake_host import VIEWER
from .forms import form_in

AT = "/generators/tools"
HOSTILE = "<script>alert(1)</script>\"'{{ 7*7 }}{% raw %}"


def opened(web: Web, path: str = AT, **more: Any) -> dict[str, str]:
    """The form of the page as a browser would send it back."""
    answer = web.page(path, **more)
    assert answer.status_code == 200, answer.text
    return form_in(answer.text)


def saved(web: Web, fields: dict[str, str], path: str = AT, **changed: str) -> Any:
    """The answer to the form with other values in it; None takes a field out, as an empty box does."""
    sent = {**fields, **{name.replace("__", "."): value for name, value in changed.items()}}
    return web.page(path, method="POST", data={name: value for name, value in sent.items() if value is not None})


def test_the_list_shows_state_and_schedule_and_finds_by_name(web: Web) -> None:
    web.built(ec2=TargetState.FAILED)
    web.file("nightly").write_text(f"schedule: '@daily'\n{TOOLS.replace('name: tools', 'name: nightly')}")
    text = web.page("/generators").text
    assert [name in text for name in ("tools", "nightly", "secret-tools")] == [True] * 3
    assert "<code>@daily</code>" in text and 'class="badge green">successful' in text
    found = web.page("/generators?search=NIGHT").text
    assert ("nightly</a>" in found, "secret-tools</a>" in found) == (True, False)
    assert "secret-tools" not in web.page("/generators", user=VIEWER).text


def test_a_long_list_comes_in_pages(web: Web) -> None:
    for number in range(60):
        web.file(f"more-{number:02d}").write_text(TOOLS.replace("name: tools", f"name: more-{number:02d}"))
    first = web.page("/generators?search=more").text
    assert ("more-00" in first, "more-59" in first, "1–50 of 60" in first) == (True, False, True)
    following = html.unescape(re.search(r'rel="next" href="/imagesmith([^"]+)"', first)[1])  # type: ignore[index]
    second = web.page(following).text
    assert ("more-00" in second, "more-59" in second, "51–60 of 60" in second) == (False, True, True)


def test_a_form_that_is_sent_back_unchanged_changes_nothing(web: Web) -> None:
    answer = saved(web, opened(web))
    assert (answer.status_code, answer.headers["location"]) == (303, "/imagesmith/generators/tools?done=saved")
    assert web.file("tools").read_text() == TOOLS
    assert "Saved." in web.page("/generators/tools?done=saved").text


def test_a_change_leaves_comments_order_and_all_that_no_field_is_for(web: Web) -> None:
    more = TOOLS.replace("clouds:\n", "files: {motd: /etc/motd}\nconsistency: report\nclouds:\n")
    more = more.replace("instance_type: t3.small}", "instance_type: t3.small, tags: {team: physics}, disk_gib: 12}")
    (web.include / "files" / "motd").write_text("hello")
    web.file("tools").write_text(more)
    answer = saved(web, opened(web), clouds__hotel__instance_type="m1.large", clouds__ec2__public="on")
    assert answer.status_code == 303, answer.text
    wanted = more.replace("m1.small", "m1.large").replace("disk_gib: 12}", "disk_gib: 12, public: true}")
    assert web.file("tools").read_text().split() == wanted.split()


LINES = """\
name: tools
description: |      # of several lines
  Tools

  for everybody
script: tools.sh
schedule: "0 3\\n* * 1"
parameters:
  greeting:
    type: string
    default: |
      a 1
      b 2
    description: "first\\nsecond\\n"
    choices: ["a 1\\nb 2\\n", other]
  blank: {type: string, default: "\\n\\nlate"}
clouds:
  ec2: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
"""


def test_texts_of_several_lines_stay_as_they_are(web: Web) -> None:
    web.file("tools").write_text(LINES)
    fields = opened(web)
    assert fields["description"] == "Tools\r\n\r\nfor everybody\r\n"
    assert fields["parameters.0.default"] == "a 1\r\nb 2\r\n"
    assert fields["parameters.1.default"] == "\r\n\r\nlate"
    assert saved(web, fields).headers["location"].endswith("?done=saved")
    assert web.file("tools").read_text() == LINES
    assert saved(web, fields, clouds__ec2__public="on").status_code == 303
    assert web.file("tools").read_text() == LINES.replace("t3.small}", "t3.small, public: true}")


def test_texts_of_several_lines_are_changed_line_by_line(web: Web) -> None:
    web.file("tools").write_text(LINES)
    changes = {"parameters.1.default": "x\r\ny", "parameters.1.description": "one line\r\n"}
    assert saved(web, opened(web), description="Tools\r\nfor all\r\n", **changes).status_code == 303
    document = web.json("/generators/tools")["document"]
    assert document["description"] == "Tools\nfor all\n"
    assert document["parameters"]["blank"] == {"type": "string", "default": "x\ny", "description": "one line"}
    assert document["parameters"]["greeting"]["default"] == "a 1\nb 2\n"
    assert document["schedule"] == "0 3\n* * 1"


def test_choices_that_are_no_lines_are_not_changed_as_lines(web: Web) -> None:
    web.file("tools").write_text(LINES)
    refused = saved(web, opened(web), parameters__0__choices="a 1\r\nb 2\r\n\r\nother\r\nthird")
    assert (refused.status_code, "parameters.greeting.choices" in refused.text) == (422, True)
    assert "YAML view" in html.unescape(refused.text)
    assert form_in(refused.text)["parameters.0.choices"].endswith("third")
    assert web.file("tools").read_text() == LINES


def test_every_field_reaches_the_file(web: Web) -> None:
    fields = opened(web)
    changes: dict[str, Any] = {
        "description": "Other tools",
        "schedule": "@weekly",
        "time_limit": "1h30m",
        "how": "text",
        "script": "#!/bin/sh\r\necho hi",
        "parameters.1.name": "count",
        "parameters.1.type": "integer",
        "parameters.1.default": "3",
        "parameters.1.choices": "3\r\n4",
        "parameters.1.description": "how many",
        "clouds.ec2.on": None,
        "clouds.hotel.source": "name",
        "clouds.hotel.source_name": "debian-*",
        "clouds.hotel.source_owner": "us",
        "clouds.hotel.ssh_username": "debian",
        "clouds.hotel.image_name": "{generator}-{date}",
        "clouds.hotel.required": None,
    }
    assert saved(web, fields, **changes).status_code == 303
    document = web.json("/generators/tools")["document"]
    assert document == {
        "name": "tools",
        "description": "Other tools",
        "script": "#!/bin/sh\necho hi\n",
        "parameters": {
            "extra": {"type": "string", "default": ""},
            "count": {"type": "integer", "default": 3, "choices": [3, 4], "description": "how many"},
        },
        "schedule": "@weekly",
        "time_limit": "1h30m",
        "clouds": {
            "hotel": {
                "source_image": {"name": "debian-*", "owner": "us"},
                "ssh_username": "debian",
                "instance_type": "m1.small",
                "image_name": "{generator}-{date}",
                "required": False,
            }
        },
    }
    assert opened(web)["script"] == "#!/bin/sh\r\necho hi\r\n"


def test_a_parameter_is_renamed_and_another_removed(web: Web) -> None:
    fields = opened(web)
    assert saved(web, fields, parameters__0__name="packages", parameters__0__description="more").status_code == 303
    assert web.json("/generators/tools")["document"]["parameters"] == {
        "packages": {"type": "string", "default": "", "description": "more"}
    }
    gone = {name: "" for name in opened(web) if name.startswith("parameters.0.") and not name.endswith(".type")}
    assert saved(web, opened(web), **gone).status_code == 303
    assert "parameters" not in web.json("/generators/tools")["document"]


def test_messages_stand_beside_their_fields_and_nothing_typed_is_lost(web: Web) -> None:
    typed = "#!/bin/sh\r\n# hours of work\r\n"
    answer = saved(
        web,
        opened(web),
        schedule="sometimes",
        how="text",
        script=typed,
        clouds__hotel__ssh_username="a b",
        parameters__0__name="PATH",
    )
    assert answer.status_code == 422
    text = answer.text
    for key, said in (
        ("schedule", "'sometimes' is no schedule"),
        ("clouds.hotel.ssh_username", "'a b' is not a login name"),
        ("parameters.PATH", "is a name with a meaning of its own"),
    ):
        assert f'id="wrong-{key}-1">{said}' in html.unescape(text), key
    assert re.search(r'id="schedule"[^>]* value="sometimes"[^>]* aria-invalid="true"', text)
    again = form_in(text)
    assert (again["script"], again["how"], again["clouds.hotel.ssh_username"]) == (typed, "text", "a b")
    assert web.file("tools").read_text() == TOOLS
    mended = saved(web, again, schedule="", clouds__hotel__ssh_username="debian", parameters__0__name="extra")
    assert mended.status_code == 303
    assert web.json("/generators/tools")["scripts"][0]["text"] == typed.replace("\r\n", "\n")


def test_a_file_with_mistakes_shows_them_and_can_be_mended(web: Web) -> None:
    web.file("tools").write_text(TOOLS.replace("script: tools.sh", "schedul: x\nscript: nowhere.sh"))
    text = web.page(AT).text
    assert "there is no include/scripts/nowhere.sh" in text and "schedul: " in text
    assert re.search(r'class="badge red">\s*2 mistakes', web.page("/generators").text)
    assert "schedul" in web.page(f"{AT}/yaml").text


def test_a_save_over_somebody_elses_change_shows_both_and_loses_nothing(web: Web) -> None:
    mine = opened(web)
    assert saved(web, opened(web), description="theirs").status_code == 303
    answer = saved(web, mine, description="mine", how="text", script="#!/bin/sh\r\nmine\r\n")
    assert answer.status_code == 412
    theirs, yours = (
        html.unescape(re.search(rf'id="{name}">(.*?)</pre>', answer.text, re.S)[1])  # type: ignore[index]
        for name in ("theirs", "yours")
    )
    assert theirs == web.file("tools").read_text()
    assert "description: mine" in yours and "  mine\n" in yours
    again = form_in(answer.text)
    assert (again["description"], again["script"]) == ("mine", "#!/bin/sh\r\nmine\r\n")
    assert saved(web, again).status_code == 412, "not again by just saving"
    over = re.search(r'name="over" value="([^"]+)"', answer.text)[1]  # type: ignore[index]
    assert saved(web, again, over=html.unescape(over)).status_code == 303
    assert web.file("tools").read_text() == yours


def test_what_somebody_else_deleted_meanwhile_is_still_there_to_copy(web: Web) -> None:
    mine = opened(web)
    web.file("tools").unlink()
    answer = saved(web, mine, description="mine")
    assert (answer.status_code, "there is no generator tools" in answer.text) == (404, True)
    assert form_in(answer.text)["description"] == "mine"
    assert saved(web, {**mine, "yaml": "mine: too"}, f"{AT}/yaml").status_code == 404


def test_over_a_third_change_it_is_refused_again(web: Web) -> None:
    mine = opened(web)
    saved(web, opened(web), description="theirs")
    over = re.search(r'name="over" value="([^"]+)"', saved(web, mine, description="mine").text)[1]  # type: ignore[index]
    saved(web, opened(web), description="a third's")
    assert saved(web, mine, description="mine", over=html.unescape(over)).status_code == 412
    assert "a third's" in web.file("tools").read_text()


@pytest.mark.parametrize("etag", ["", "*"])
def test_a_form_without_what_it_started_from_saves_nothing(web: Web, etag: str) -> None:
    assert saved(web, opened(web), etag=etag, description="mine").status_code == 428
    assert saved(web, opened(web, f"{AT}/yaml"), f"{AT}/yaml", etag=etag).status_code == 428
    assert web.file("tools").read_text() == TOOLS


def test_the_file_as_text(web: Web) -> None:
    fields = opened(web, f"{AT}/yaml")
    assert fields["yaml"] == TOOLS.replace("\n", "\r\n")
    text = TOOLS.replace("t3.small", "t3.large")
    assert saved(web, fields, f"{AT}/yaml", yaml=text.replace("\n", "\r\n")).status_code == 303
    assert web.file("tools").read_text() == text
    refused = saved(web, fields, f"{AT}/yaml", yaml=TOOLS)
    assert refused.status_code == 412
    wrong = saved(web, opened(web, f"{AT}/yaml"), f"{AT}/yaml", yaml="clouds: [")
    assert (wrong.status_code, form_in(wrong.text)["yaml"]) == (422, "clouds: [")
    assert web.file("tools").read_text() == text


def test_what_is_no_yaml_has_only_its_text(web: Web) -> None:
    web.file("tools").write_text("clouds: [")
    assert web.page(AT).headers["location"] == "/imagesmith/generators/tools/yaml"
    assert "clouds: [" in web.page(f"{AT}/yaml").text
    fields = {**opened(web, f"{AT}/yaml"), "base": '"clouds: ["', "description": "x"}
    assert saved(web, fields).status_code == 422


def test_a_file_that_its_values_do_not_tell_is_changed_as_text_only(web: Web) -> None:
    twice = TOOLS.replace("script: tools.sh", "description: Others  # not ours\nscript: tools.sh")
    web.file("tools").write_text(twice)
    fields = opened(web)
    assert "the key stands here a second time" in web.page(AT).text
    refused = saved(web, fields, description="Third", clouds__ec2__public="on")
    assert (refused.status_code, "a second time" in refused.text, "YAML view" in refused.text) == (422, True, True)
    again = form_in(refused.text)
    assert (again["description"], again["clouds.ec2.public"]) == ("Third", "on")
    assert web.file("tools").read_text() == twice
    copied = saved(web, opened(web, "/generators/_new?copy=tools"), "/generators", name="tools-two")
    assert (copied.status_code, "a second time" in copied.text) == (422, True)
    document = {**web.json("/generators/tools")["document"], "description": "Third"}
    answer = web.ask("PUT", "/generators/tools", json={"document": document}, headers={"If-Match": "*"})
    assert (answer.status_code, "a second time" in answer.json()["detail"]) == (422, True)
    assert web.file("tools").read_text() == twice
    mended = {**opened(web, f"{AT}/yaml"), "yaml": TOOLS}
    assert saved(web, mended, f"{AT}/yaml").status_code == 303


def test_a_generator_is_added(web: Web) -> None:
    fields = opened(web, "/generators/_new")
    changes = {
        "name": "dstat2",
        "how": "text",
        "script": SCRIPT.replace("\n", "\r\n"),
        "clouds.ec2.on": "on",
        "clouds.ec2.source_id": "ami-12345678",
        "clouds.ec2.ssh_username": "admin",
        "clouds.ec2.instance_type": "t3.small",
    }
    answer = saved(web, fields, "/generators", **changes)
    assert (answer.status_code, answer.headers["location"]) == (303, "/imagesmith/generators/dstat2?done=added")
    assert web.file("dstat2").read_text() == (
        "name: dstat2\nscript: |\n  #!/bin/sh\n  apt-get install dstat\nclouds:\n  ec2:\n"
        "    source_image: ami-12345678\n    ssh_username: admin\n    instance_type: t3.small\n"
    )
    again = saved(web, fields, "/generators", **changes)
    assert (again.status_code, "there is a generator dstat2 already" in again.text) == (409, True)
    assert form_in(again.text)["script"] == changes["script"]


@pytest.mark.parametrize("name", ["", "Tools", "../tools", "_new", "a" * 64, HOSTILE])
def test_a_name_that_is_none_is_told_beside_the_field(web: Web, name: str) -> None:
    before = sorted(web.include.rglob("*"))
    answer = saved(web, opened(web, "/generators/_new"), "/generators", name=name)
    assert answer.status_code == 422
    assert "is no name for a generator" in answer.text and "<script>alert" not in answer.text
    assert sorted(web.include.rglob("*")) == before


def test_a_copy_is_another_generator_with_the_same_content(web: Web) -> None:
    fields = opened(web, "/generators/_new?copy=tools")
    assert fields["name"] == "tools-copy"
    assert saved(web, fields, "/generators", name="tools-two").status_code == 303
    assert web.file("tools-two").read_text() == TOOLS.replace("name: tools", "name: tools-two")
    assert web.page("/generators/_new?copy=secret-tools", user=VIEWER).status_code == 403


def test_a_generator_is_deleted_after_a_question(web: Web) -> None:
    fields = opened(web, f"{AT}/delete")
    web.file("tools").write_text(TOOLS.replace("Tools ", "Theirs"))
    assert saved(web, fields, f"{AT}/delete").status_code == 412
    assert web.file("tools").exists()
    answer = saved(web, opened(web, f"{AT}/delete"), f"{AT}/delete")
    assert answer.headers["location"] == "/imagesmith/generators?done=deleted"
    assert not web.file("tools").exists()


def test_who_may_not_edit_gets_a_page_to_read(web: Web) -> None:
    for path in (AT, f"{AT}/yaml"):
        text = web.page(path, user=VIEWER).text
        assert "Read-only: Airflow does not let you change it." in text
        assert ">Save<" not in text and ">Delete" not in text and ">Copy<" not in text
    assert '<fieldset class="plain" disabled>' in web.page(AT, user=VIEWER).text
    assert "apt-get install dstat" in web.page(AT, user=VIEWER).text
    answer = web.page(AT, method="POST", user=VIEWER, data=opened(web))
    assert (answer.status_code, "Airflow does not let you change the generator tools" in answer.text) == (403, True)


def test_a_file_that_cannot_be_written_says_why(web: Web) -> None:
    elsewhere = web.include / "elsewhere.yaml"
    elsewhere.write_text(TOOLS)
    web.file("tools").unlink()
    web.file("tools").symlink_to(elsewhere)
    text = web.page(AT).text
    assert "Read-only: tools.yaml is a link; change what it leads to" in text and ">Save<" not in text
    assert "It can't be deleted here" in web.page(f"{AT}/delete").text


def test_what_is_hostile_is_shown_and_not_acted_on(web: Web) -> None:
    script = f"#!/bin/sh\r\n</textarea>{HOSTILE}\r\n"
    answer = saved(web, opened(web), description=HOSTILE, how="text", script=script)
    assert answer.status_code == 303, answer.text
    for path in ("/generators", AT, f"{AT}/yaml", f"{AT}/versions?old=current&new=current"):
        text = web.page(path).text
        assert "<script>alert" not in text and "</textarea><script" not in text
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in web.page("/generators").text
    assert opened(web)["script"] == script
    for path in (f"/generators?search={HOSTILE}", f"/generators/{HOSTILE}", f"{AT}/versions?old={HOSTILE}&new=current"):
        assert "<script>alert" not in web.page(path).text


def test_what_no_browser_sends_is_refused(web: Web) -> None:
    headers = {"Content-Type": "application/json"}
    assert web.page(AT, method="POST", content=b"{}", headers=headers).status_code == 422
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"a=%ff", b"&".join(b"f%d=1" % number for number in range(6_000)), "a=ü".encode()):
        assert web.page(AT, method="POST", content=body, headers=headers).status_code == 422
    for base in ("{", "[]", "5"):
        assert saved(web, opened(web), base=base).status_code == 422
    many = {f"parameters.{number}.name": f"p{number}" for number in range(1, 300)}
    assert saved(web, opened(web), **many).status_code == 422
    assert web.file("tools").read_text() == TOOLS


def test_versions_and_what_differs(web: Web) -> None:
    assert "No version of it was built yet." in web.page(f"{AT}/versions").text
    web.built()
    web.built()
    text = web.page(f"{AT}/versions").text
    assert "version00000" in text and "version00001" in text
    compared = web.page(f"{AT}/versions?old=version00000&new=current").text
    assert 'class="line added' in compared and "settings" in compared
    assert "They are the same." in web.page(f"{AT}/versions?old=version00000&new=version00001").text
    assert web.page(f"{AT}/versions?old=nothing&new=current").status_code == 404
    web.read_back("versionofold")
    unknown = web.page(f"{AT}/versions?old=versionofold&new=current").text
    assert "is not known" in unknown and "They are the same." not in unknown and 'class="line' not in unknown
