"""The lineage of images, out of the catalog and onto the screen: a tree for each cloud, or a graph for Graphviz."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.store import Catalog


@dataclass(frozen=True)
class Lineage:
    """The ancestors and descendants of a build's images, by cloud, oldest first.

    `asked` is the image that was asked about; `names` are those of source images that are no images of ours.
    """

    asked: ImageRecord
    images: Mapping[str, Sequence[ImageRecord]]
    names: Mapping[tuple[str, str], str]

    def children(self, cloud: str) -> Mapping[str, Sequence[ImageRecord]]:
        """The cloud's images by the id of what they were made from."""
        found: defaultdict[str, list[ImageRecord]] = defaultdict(list)
        for image in self.images[cloud]:
            found[image.source_image_id].append(image)
        return found

    def roots(self, cloud: str) -> list[str]:
        """Ids of the source images that no image of ours here is."""
        ours = {image.image_id for image in self.images[cloud]}
        return [source for source in self.children(cloud) if source not in ours]


def lineage_of(catalog: Catalog, image: ImageRecord) -> Lineage:
    """The image's lineage on its cloud, and those of its build's other images on theirs."""
    siblings = catalog.images(build_id=image.build_id, include_deleted=True)
    images: dict[str, list[ImageRecord]] = {}
    names = {}
    for cloud in sorted({each.cloud for each in siblings}, key=lambda name: (name != image.cloud, name)):
        found = {
            each.image_id: each
            for sibling in siblings
            if sibling.cloud == cloud
            for each in catalog.family(cloud, sibling.image_id)
        }
        images[cloud] = list(found.values())
        for oldest in images[cloud]:
            if oldest.source_image_id not in found:
                target = catalog.target(oldest.build_id, cloud)
                names[cloud, oldest.source_image_id] = target.source_image_name
    return Lineage(image, images, names)


def seen_by(lineage: Lineage, generators: Collection[str]) -> Lineage:
    """The lineage without images of other generators; what was made from one of those keeps no more than its id."""
    images = {
        cloud: [image for image in family if image.generator in generators] for cloud, family in lineage.images.items()
    }
    hidden = {
        _key(image) for family in lineage.images.values() for image in family if image.generator not in generators
    }
    roots = {(image.cloud, image.source_image_id) for family in images.values() for image in family}
    names = {key: name for key, name in lineage.names.items() if key in roots and key not in hidden}
    return Lineage(lineage.asked, images, names)


def drawn(lineage: Lineage) -> list[str]:
    """Trees for a terminal, a cloud below the other."""
    lines = []
    for cloud in lineage.images:
        lines.append(cloud)
        children = lineage.children(cloud)
        for root in lineage.roots(cloud):
            name = lineage.names.get((cloud, root), "")
            lines.append(f"  {root or 'an image nobody wrote down'} {name}".rstrip())
            lines += [f"  {line}" for line in _branches(root, children, lineage, seen=frozenset())]
    return lines


def _branches(
    parent: str, children: Mapping[str, Sequence[ImageRecord]], lineage: Lineage, *, seen: frozenset[str]
) -> Iterator[str]:
    below = [image for image in children.get(parent, ()) if image.image_id not in seen]
    for image in below:
        last = image is below[-1]
        yield f"{'└── ' if last else '├── '}{_label(image, lineage)}"
        for line in _branches(image.image_id, children, lineage, seen=seen | {image.image_id}):
            yield f"{'    ' if last else '│   '}{line}"


def _label(image: ImageRecord, lineage: Lineage) -> str:
    words = [image.image_id, image.name, f"({image.generator} {image.version})"]
    words += ["deleted"] if image.deleted_at else []
    words += ["◄"] if _key(image) == _key(lineage.asked) else []
    return "  ".join(words)


def as_dot(lineage: Lineage) -> str:
    """The graph in Graphviz's language, the images of a cloud in a box."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for number, (cloud, images) in enumerate(lineage.images.items()):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(cloud)};"]
        for root in lineage.roots(cloud):
            label = f"{root}\n{lineage.names.get((cloud, root), '')}".rstrip()
            lines.append(f"    {_node(cloud, root)} [label={_quoted(label)}, style=dashed];")
        for image in images:
            label = f"{image.name}\n{image.image_id}\n{image.generator} {image.version}"
            style = ", style=bold" if _key(image) == _key(lineage.asked) else ""
            lines.append(f"    {_node(cloud, image.image_id)} [label={_quoted(label)}{style}];")
        lines += [f"    {_node(cloud, image.source_image_id)} -> {_node(cloud, image.image_id)};" for image in images]
        lines.append("  }")
    return "\n".join([*lines, "}"])


def as_json(lineage: Lineage) -> dict[str, Any]:
    """The lineage for programs: the images of each cloud, each with its source image's id."""
    return {
        "asked": {"cloud": lineage.asked.cloud, "image_id": lineage.asked.image_id},
        "clouds": {cloud: [asdict(image) for image in images] for cloud, images in lineage.images.items()},
        "source_images": [
            {"cloud": cloud, "image_id": image_id, "name": name} for (cloud, image_id), name in lineage.names.items()
        ],
    }


def _key(image: ImageRecord) -> tuple[str, str]:
    return (image.cloud, image.image_id)


def _node(cloud: str, image_id: str) -> str:
    return _quoted(f"{cloud}/{image_id}")


def _quoted(text: str) -> str:
    """A string of Graphviz: only quotes and backslashes have a meaning in one."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
