"""Clouds through their page: what they are, whether they have a connection, and what they answer."""

from __future__ import annotations

import html

from .conftest import CLOUDS, Web, answer
from .fake_host import VIEWER


def test_clouds_with_their_connections(web: Web) -> None:
    text = html.unescape(web.page("/clouds").text)
    assert "https://hotel.example:5000/v3" in text
    assert 'http://airflow/connections?name_pattern=ec2" target="_top">edit it in Airflow' in text
    assert "Connection ID <code>hotel</code>, type <em>Imagesmith: OpenStack</em>" in text
    assert "you may not see connections" in web.page("/clouds", user=VIEWER).text
    assert "<button" not in web.page("/clouds", user=VIEWER).text


def test_a_cloud_with_mistakes_is_told_and_hides_no_other(web: Web) -> None:
    (web.include / "clouds.yaml").write_text(f"{CLOUDS}odd: {{type: <b>x</b>}}\n")
    text = web.page("/clouds").text
    assert "odd" in text and "&lt;b&gt;x&lt;/b&gt;" in text and "<b>" not in text
    assert "hotel.example" in text


def test_a_test_shows_the_clouds_own_answer(web: Web) -> None:
    asked = web.page("/clouds/ec2/tests", method="POST").text
    assert 'hx-get="/imagesmith/clouds/ec2/tests/manual__0"' in asked and "asking" in asked
    web.host.runs["imagesmith_test_cloud", "manual__0"] = "success"
    web.host.results["manual__0"] = {"identity": "", "problem": "ec2: <i>no</i>; check the connection"}
    ended = web.page("/clouds/ec2/tests/manual__0").text
    assert "ec2: &lt;i&gt;no&lt;/i&gt;; check the connection" in ended and "hx-get" not in ended
    web.host.results["manual__0"] = {"identity": "arn:ann", "problem": ""}
    assert "arn:ann" in web.page("/clouds/ec2/tests/manual__0").text


def test_what_airflow_does_not_allow_is_said(web: Web) -> None:
    web.host.refusal = answer(403, "no")
    refused = web.page("/clouds/ec2/tests", method="POST")
    assert (refused.status_code, "Airflow does not let you start imagesmith_test_cloud" in refused.text) == (403, True)
    assert web.page("/clouds/mars/tests", method="POST").status_code == 404


def test_a_listing_offers_what_the_cloud_has(web: Web) -> None:
    asked = web.page("/clouds/ec2/listings", method="POST", data={"search": " debian "}).text
    assert 'hx-get="/imagesmith/clouds/ec2/listings/manual__0"' in asked
    assert web.host.calls[-1][3] == {
        "logical_date": None,
        "conf": {"cloud": "ec2", "search": "debian"},
        "note": "asked by ann",
    }
    web.host.runs["imagesmith_list_cloud", "manual__0"] = "success"
    image = {"id": 'ami-1" onclick="x', "name": "<script>", "created": "2026-11-01T00:00:00Z", "own": True}
    web.host.results["manual__0"] = {"images": [image], "instance_types": ["t3.small"], "problem": ""}
    text = web.page("/clouds/ec2/listings/manual__0").text
    assert 'data-value="ami-1&#34; onclick=&#34;x">&lt;script&gt;</button>' in text
    assert (
        '<datalist id="types-ec2"><option value="t3.small"></option></datalist>' in text and "own, 2026-11-01" in text
    )
    web.host.results["manual__0"] = {"images": [], "instance_types": [], "problem": "ec2: no; check it"}
    assert "ec2: no; check it" in web.page("/clouds/ec2/listings/manual__0").text
