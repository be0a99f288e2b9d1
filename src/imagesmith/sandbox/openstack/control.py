"""What a test sets on one site."""

import re
from dataclasses import asdict
from typing import Any

from starlette.responses import JSONResponse, Response

from imagesmith.sandbox.openstack.faults import fault_of
from imagesmith.sandbox.openstack.site import Site

_TIMINGS = {"boot_s": float, "script_s": float, "stop_s": float, "image_s": float, "ssh": bool}
_SETTINGS = {
    "token_s": float,
    "floating_ips": int,
    "instances": int,
    "image_late_s": float,
    "task_late_s": float,
    "public_shared": bool,
    "password": str,
}


def settings(site: Site, wanted: dict[str, Any]) -> Response:
    """Changes what is named, and tells all settings.

    Beside timings and settings: `doom`, the fault text of the next server that is launched, and `fault`, a call that
    is to fail (faults.py); null takes back what was planned.
    """
    unknown = set(wanted) - set(_TIMINGS) - set(_SETTINGS) - {"doom", "fault"}
    if unknown:
        return JSONResponse({"error": f"unknown settings: {', '.join(sorted(unknown))}"}, status_code=400)
    for kinds, target in ((_TIMINGS, site.timings), (_SETTINGS, site.settings)):
        for name in kinds.keys() & wanted.keys():
            setattr(target, name, kinds[name](wanted[name]))
    try:
        _plan(site, wanted)
    except (ValueError, re.error) as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    planned = {"dooms": site.dooms, "faults": [asdict(fault) for fault in site.faults]}
    return JSONResponse({**asdict(site.timings), **asdict(site.settings), **planned})


def _plan(site: Site, wanted: dict[str, Any]) -> None:
    if "doom" in wanted:
        if wanted["doom"] is None:
            site.dooms.clear()
        else:
            site.dooms.append(str(wanted["doom"]))
    if "fault" in wanted:
        if wanted["fault"] is None:
            site.faults.clear()
        else:
            site.faults.append(fault_of(wanted["fault"]))
