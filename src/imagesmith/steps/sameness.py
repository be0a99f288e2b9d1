"""Whether a build's images are the same, as the end of a build asks it: compared, written down, told, objected to."""

from __future__ import annotations

from collections.abc import Sequence

from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.store import Catalog
from imagesmith.consistency import Comparison, Verdict, compare, sentence, table
from imagesmith.plan import Plan

# So many differences are named in the build's reason, and so many rows are in the task's log.
NAMED = 10
ROWS = 200


def compared(plan: Plan, images: Sequence[ImageRecord], *, catalog: Catalog) -> Comparison | None:
    """What the catalog holds of the images, side by side, and written down; None where there are not two."""
    inventories = {image.cloud: catalog.inventory(image.inventory_digest) for image in images}
    comparison = compare(inventories, plan.allow_differences)
    catalog.record_comparison(
        plan.build_id,
        verdict=comparison.verdict if comparison else "",
        comparison=comparison.model_dump(mode="json") if comparison else None,
    )
    return comparison


def objection(plan: Plan, comparison: Comparison | None) -> str:
    """Why the build fails though every target is well; "" where nothing speaks against it."""
    if plan.consistency != "require" or comparison is None:
        return ""
    if comparison.verdict in (Verdict.IDENTICAL, Verdict.EQUAL):
        return ""
    told = f"the images must be the same and are {sentence(comparison)}"
    if comparison.verdict is Verdict.UNKNOWN:
        return f"{told}; let inventories be taken there, or leave out `consistency: require`"
    named = ", ".join(f"{each.kind} {each.name}" for each in comparison.forbidden[:NAMED])
    return f"{told} ({named}); mend the script, or allow it under `allow_differences:` with the reason"


def told(comparison: Comparison | None) -> list[str]:
    """The verdict and what it rests on, a line each."""
    if comparison is None:
        return []
    return [f"images are {sentence(comparison)}", *table(comparison, allowed=True, most=ROWS)]
