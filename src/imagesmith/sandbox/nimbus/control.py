"""What a test sets on one site."""

from dataclasses import asdict
from typing import Any

from starlette.responses import JSONResponse, Response

from imagesmith.sandbox.nimbus.faults import fault_of
from imagesmith.sandbox.nimbus.site import Site

_TIMINGS = {"boot_s": float, "script_s": float, "stop_s": float, "image_s": float, "ssh": bool}
_SETTINGS = {
    "propagate_s": float,
    "minute_s": float,
    "max_memory_mb": int,
    "max_minutes": int,
    "factory": bool,
    "repository": bool,
    "noise": bool,
}


async def settings(site: Site, wanted: dict[str, Any]) -> Response:
    """Changes what is named, and tells all settings.

    Beside timings and settings (site.py): `fault`, something that is to go wrong (faults.py); null takes back what was
    planned.
    """
    unknown = set(wanted) - set(_TIMINGS) - set(_SETTINGS) - {"fault"}
    if unknown:
        return JSONResponse({"error": f"unknown settings: {', '.join(sorted(unknown))}"}, status_code=400)
    for kinds, target in ((_TIMINGS, site.timings), (_SETTINGS, site.settings)):
        for name in kinds.keys() & wanted.keys():
            setattr(target, name, kinds[name](wanted[name]))
    try:
        _plan(site, wanted)
        await site.set_doors()
    except (ValueError, OSError) as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    planned = {"faults": [asdict(fault) for fault in site.faults]}
    return JSONResponse({**asdict(site.timings), **asdict(site.settings), **planned})


def _plan(site: Site, wanted: dict[str, Any]) -> None:
    if "fault" not in wanted:
        return
    if wanted["fault"] is None:
        site.faults.clear()
    else:
        site.faults.append(fault_of(wanted["fault"]))
