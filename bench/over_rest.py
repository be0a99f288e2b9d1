"""Starts so many builds of one generator over Airflow's REST API and follows them all in this one process.

Ends with 1 unless every build is successful; prints one JSON object with their ids.
"""

import argparse
import json
import sys
import time

from imagesmith.airflow_client import AirflowClient, Run
from imagesmith.catalog.records import BuildRecord, BuildState
from imagesmith.catalog.store import Catalog

LOOK_S = 0.5


def main() -> int:
    """0 if all builds are successful."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generator")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    airflow, catalog = AirflowClient(), Catalog()
    runs = [airflow.trigger(arguments.generator, {}) for _ in range(arguments.count)]
    builds = _ended(runs, catalog)
    print(json.dumps({"builds": {build.build_id: str(build.state) for build in builds}}))
    return 0 if all(build.state is BuildState.SUCCESSFUL for build in builds) else 1


def _ended(runs: list[Run], catalog: Catalog) -> list[BuildRecord]:
    """The builds of the runs once all have ended."""
    ended: dict[str, BuildRecord] = {}
    while len(ended) < len(runs):
        time.sleep(LOOK_S)
        for run in runs:
            if run.run_id not in ended:
                build = catalog.find_build(run.dag_id, run.run_id)
                if build is not None and build.state.ended:
                    ended[run.run_id] = build
    return list(ended.values())


if __name__ == "__main__":
    sys.exit(main())
