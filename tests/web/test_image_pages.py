"""Images on pages: the table, one image, what is inside, its lineage, two side by side."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from imagesmith.catalog.recovery import FoundImage
from imagesmith.core import TargetState
from imagesmith.inventory import Package

from .conftest import INVENTORY, SCRIPT, Web
from .fake_host import STRANGER, VIEWER

HOSTILE = '"><script>alert(1)</script>{{7*7}}'
NEWER = INVENTORY.model_copy(
    update={"packages": (Package(manager="dpkg", name="openssl", version="3.0.15-1", architecture="amd64"),)}
)


def image_of(build_id: str, cloud: str = "ec2") -> str:
    return f"img-{cloud}-{build_id}"


def rows(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/imagesmith/images/([^"]+)">', text)


def test_images_are_listed_and_filtered(web: Web) -> None:
    old = web.built(ec2=TargetState.SUCCESSFUL, hotel=TargetState.SUCCESSFUL)
    new = web.built(inside=NEWER)
    assert rows(web.page("/images").text) == [
        f"ec2/{image_of(new)}",
        f"hotel/{image_of(old, 'hotel')}",
        f"ec2/{image_of(old)}",
    ]
    assert rows(web.page("/images?cloud=hotel&generator=tools").text) == [f"hotel/{image_of(old, 'hotel')}"]
    assert rows(web.page("/images?package=openssl>3.0.14-1").text) == [f"ec2/{image_of(new)}"]
    assert "No image is like that" in web.page("/images?older=1").text
    assert len(rows(web.page("/images?newer=1").text)) == 3
    paged = web.page("/images?limit=1&offset=1&newer=1").text
    assert "2–2 of 3" in paged and "newer=1&amp;limit=1&amp;offset=2" in paged
    web.catalog.image_deleted("ec2", image_of(new))
    assert len(rows(web.page("/images").text)) == 2
    assert len(rows(web.page("/images?deleted=true").text)) == 3
    assert "none that you may see" in web.page("/images", user=STRANGER).text


@pytest.mark.parametrize(
    ("query", "says"), [("package=;", "is no question for a package"), ("older=soon", "is no number of days")]
)
def test_a_filter_that_is_wrong_is_told(web: Web, query: str, says: str) -> None:
    page = web.page(f"/images?{query}")
    assert (page.status_code, says in page.text) == (422, True)


def test_an_image_that_was_read_back_tells_what_is_not_known(web: Web) -> None:
    lost = web.catalog.build(web.built())
    found = FoundImage(
        **{"cloud": "ec2", "image_id": "img-lost", "name": "lost", "build_id": "20260101-000000-abcdef"},
        **{"generator": lost.generator, "version": lost.version, "source_image_id": "v"},
        **{"inventory_digest": "a" * 64, "created_at": lost.created_at},
        plan={**lost.plan, "build_id": "20260101-000000-abcdef", "scripts": []},
    )
    web.catalog.recover_image(found)
    text = web.page("/images/ec2/img-lost").text
    assert "whether it was verified is not known" in text
    assert f"sha256:{'a' * 64}" in text and "Nobody looked into it" not in text
    assert "read-back__" not in text, "there is no such run, and no log"
    page = web.page("/compare?before=ec2/img-lost&after=ec2/img-lost").text
    assert f"What is inside is the same: both have the digest {'a' * 64}" in page


def test_one_image_tells_what_it_is(web: Web) -> None:
    parent = image_of(web.built())
    build_id = web.built(source=parent, ec2=TargetState.SUCCESSFUL, hotel=TargetState.SUCCESSFUL)
    image_id = image_of(build_id)
    page = web.page(f"/images/ec2/{image_id}").text
    for there in (
        "Debian GNU/Linux 12, kernel 6.1.0-28, x86_64",
        "packages: 2",
        "ann (manual)",
        f'href="/imagesmith/images/ec2/{parent}"',
        f'href="/imagesmith/builds/{build_id}#same">identical</a>',
        f'href="/imagesmith/api/v1/images/ec2/{image_id}/sbom?format=spdx" download',
        f'href="/imagesmith/api/v1/builds/{build_id}/provenance" download',
        'href="http://airflow/dags/tools/runs/manual__of_1/tasks/ec2.customize" target="_top"',
        SCRIPT.splitlines()[1],
        '<option value="ec2/' + parent,
    ):
        assert there in page
    assert "Nobody looked into it" in web.page(f"/images/ec2/{image_of(web.built(inside=None))}").text
    assert web.page("/images/ec2/nothing").status_code == 404
    downloaded = web.page(f"/api/v1/images/ec2/{image_id}/sbom?format=cyclonedx")
    assert downloaded.headers["content-disposition"].startswith("attachment")


def test_an_image_whose_id_has_slashes(web: Web) -> None:
    build_id = web.built(image_id="a/b c?#.gz")
    page = web.page("/images/ec2/a/b%20c%3F%23.gz")
    assert page.status_code == 200 and build_id in page.text
    assert 'href="/imagesmith/images/ec2/a/b%20c%3F%23.gz"' in web.page("/images").text
    assert web.page("/images/ec2/a/b%20c%3F%23.gz/inside").status_code == 200


def test_the_lineage_is_a_picture_with_links(web: Web) -> None:
    first = image_of(web.built())
    second = image_of(web.built(source=first))
    third = image_of(web.built(source=second))
    page = web.page(f"/images/ec2/{second}").text
    picture = page[page.index("<svg") : page.index("</svg>")]
    links = re.findall(r'<a href="/imagesmith/images/ec2/([^"]+)"', picture)
    assert set(links) == {first, second, third}
    assert (picture.count('class="line"'), picture.count('aria-current="true"')) == (3, 1)
    assert "ami-12345678" in picture and "style=" not in picture


def test_what_is_inside_is_searched(web: Web) -> None:
    at = f"/images/ec2/{image_of(web.built())}/inside"
    assert "openssl" in web.page(at).text
    found = web.page(f"{at}?search=DSTAT&kind=package").text
    assert "1 thing<" in found and "openssl" not in found
    assert "0 things" in web.page(f"{at}?search=x&kind=mars").text


def test_two_images_are_held_side_by_side(web: Web) -> None:
    before, after = image_of(web.built()), image_of(web.built(inside=NEWER))
    page = web.page(f"/compare?before=ec2/{before}&after={after}").text
    assert '<span class="badge red">removed</span>' in page
    assert '<td data-label="Before" class="mono">3.0.14-1' in page
    assert "Nothing differs" in web.page(f"/compare?before={before}&after={before}").text
    assert web.page(f"/compare?before={before}&after=nothing").status_code == 404
    assert web.page("/compare?before=an image&after=an image").status_code == 422


def test_a_parameter_that_is_false_or_nought_is_not_empty(web: Web) -> None:
    before = image_of(web.built(parameters={"strict": True, "count": 0, "gone": "x"}))
    after = image_of(web.built(parameters={"strict": False, "count": 2, "extra": "vim"}))
    page = web.page(f"/compare?before={before}&after={after}").text
    shown = re.findall(r'<dt>(\w+)</dt><dd class="mono">([^<]*)</dd>', page)
    assert shown == [("extra", "empty → vim"), ("strict", "True → False"), ("count", "0 → 2"), ("gone", "x → –")]


def test_beside_an_image_that_was_read_back_its_making_is_not_known(web: Web) -> None:
    lost, built = image_of(web.read_back()), image_of(web.built(parameters={"extra": "vim"}))
    for before, after in ((lost, built), (built, lost)):
        page = web.page(f"/compare?before={before}&after={after}").text
        assert f"Scripts, files and parameters are not known of ec2/{lost}" in page
        assert "Script tools.sh" not in page and "<h2>Parameters</h2>" not in page
    assert "are not known" not in web.page(f"/compare?before={built}&after={built}").text


def test_hidden_images_are_nowhere_on_pages(web: Web) -> None:
    parent = image_of(web.built("secret-tools"))
    own = image_of(web.built(source=parent))
    child = image_of(web.built("secret-tools", source=own))
    for path in ("/images", "/images?package=openssl", f"/images/ec2/{own}", f"/compare?before={own}&after={own}"):
        page = web.page(path, user=VIEWER)
        assert page.status_code == 200, path
        assert "secret-tools" not in page.text and child not in page.text
    for path in (f"/images/ec2/{parent}", f"/images/ec2/{parent}/inside", f"/compare?before={own}&after={child}"):
        assert (web.page(path).status_code, web.page(path, user=VIEWER).status_code) == (200, 404)


def test_names_are_text(web: Web) -> None:
    odd = INVENTORY.model_copy(update={"packages": (Package(manager="pip", name=HOSTILE, version=HOSTILE),)})
    build_id = web.built(inside=odd, image_name=HOSTILE, source=HOSTILE)
    plain = image_of(web.built())
    at = f"/images/ec2/{image_of(build_id)}"
    pages = ("/images", at, f"{at}/inside", f"/compare?before={plain}&after=ec2/{image_of(build_id)}")
    for path in (*pages, f"/images?generator={quote(HOSTILE)}", f"{at}/inside?search={quote(HOSTILE)}"):
        page = web.page(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text and "}}" not in page.text.replace(HOSTILE[-7:], "")
