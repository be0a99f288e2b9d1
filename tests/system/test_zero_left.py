"""The last of the tests: after all that was killed, cut off and filled, what is on the clouds is what is known."""

from __future__ import annotations

import pytest

from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
from imagesmith.sandbox.openstack.sites import SITES as OPENSTACK_SITES

from .conftest import Deployment
from .sandbox_listing import ids_of_images, left_on
from .simulated_builds import in_catalog


@pytest.mark.chaos
def test_each_cloud_has_what_the_catalog_says(deployment: Deployment) -> None:
    build_ids = {build.build_id for build in deployment.catalog.builds(limit=10_000)}
    print(f"\n{'after ' + str(len(build_ids)) + ' builds':20}  images  in the catalog  left over")
    for cloud in ("ec2", *OPENSTACK_SITES, *NIMBUS_SITES):
        images, left = ids_of_images(deployment.sandbox, cloud), left_on(deployment.sandbox, cloud)
        recorded = in_catalog(deployment, cloud, build_ids=build_ids)
        print(f"{cloud:20}  {len(images):6}  {len(recorded):14}  {len(left):9}")
        assert sorted(images) == recorded
        assert left == []
