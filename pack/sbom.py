"""What is inside, for lawyers and scanners: `sbom.json`, in CycloneDX's format.

https://cyclonedx.org/docs/1.6/json/ describes the format, https://github.com/package-url/purl-spec the names in it.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import parse_wheel_filename

from pack.licenses import place_of, place_of_tool, texts_of
from pack.records import channel_of, public_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from launcher.manifest import Manifest
    from pack.tools import Tool

SBOM_NAME = "sbom.json"
_PRODUCT = "peft-studio-engine"


def write_sbom(
    folder: Path, manifest: Manifest, packages: Iterable[Mapping[str, Any]], tools: Iterable[Tool] = ()
) -> None:
    """Write sbom.json for the packages whose records these are, and the stub's tools.

    The same runtime, made with the same tools, gives the same bytes.
    """
    product = Component(name=_PRODUCT, version=manifest.version, type=ComponentType.APPLICATION, bom_ref=_PRODUCT)
    # The name of this document is the runtime's: a random one would make each build another.
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, manifest.runtime))
    bom.metadata.component = product
    bom.metadata.timestamp = datetime.fromisoformat(manifest.created_at)
    components = {}
    for record in packages:
        components[record["name"]] = _component(record, channel_of(record, manifest.channel))
        bom.components.add(components[record["name"]])
    of_stub = [_of_stub(tool) for tool in tools]
    bom.components.update(of_stub)
    bom.register_dependency(product, [*components.values(), *of_stub])
    for record in packages:
        names = {line.split()[0] for line in record.get("depends", ())}
        bom.register_dependency(components[record["name"]], [components[n] for n in sorted(names & components.keys())])
    text = json.dumps(json.loads(JsonV1Dot6(bom).output_as_string()), indent=1, ensure_ascii=False) + "\n"
    (folder / SBOM_NAME).write_text(text, encoding="utf-8", newline="\n")


def _component(record: Mapping[str, Any], channel: str) -> Component:
    name, version, build, subdir = (str(record[key]) for key in ("name", "version", "build", "subdir"))
    about = _about(record)
    purl = PackageURL("conda", None, name, version, {"build": build, "channel": channel, "subdir": subdir})
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(record["license"])] if record.get("license") else (),
        hashes=_hashes(record.get("sha256")),
        external_references=_references(public_address(str(record.get("url", ""))), about),
        pedigree=_pedigree(about.get("extra") or {}),
        properties=[Property(name=f"{_PRODUCT}:{key}", value=value) for key, value in _remarks(record)],
    )


def _of_stub(tool: Tool) -> Component:
    purl = PackageURL("pypi", None, tool.name, tool.version)
    return Component(
        name=tool.name,
        version=tool.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(tool.license)] if tool.license else (),
        properties=[Property(name=f"{_PRODUCT}:license-files", value=place_of_tool(tool))],
    )


def _hashes(sha256: str | None) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []


def _references(address: str, about: Mapping[str, Any]) -> Iterator[ExternalReference]:
    """Yield the addresses of package, sources and project; one on the machine that built is none."""
    if address.startswith("https:"):
        yield ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(address))
    for key, kind in (("dev_url", ExternalReferenceType.VCS), ("home", ExternalReferenceType.WEBSITE)):
        # conda's recipes may name several.
        for page in [about[key]] if isinstance(about.get(key), str) else about.get(key) or ():
            yield ExternalReference(type=kind, url=XsUri(page))


def _pedigree(source: Mapping[str, str]) -> Pedigree | None:
    """Return the wheel that a package was made from, named as in Python's package index.

    The address it was fetched from may be a mirror's, another for each who builds.
    """
    if not (file_name := source.get("wheel")):
        return None
    name, version, *_ = parse_wheel_filename(file_name)
    purl = PackageURL("pypi", None, name, str(version), {"file_name": file_name})
    wheel = Component(
        name=name,
        version=str(version),
        type=ComponentType.LIBRARY,
        purl=purl,
        hashes=_hashes(source.get("sha256")),
    )
    return Pedigree(ancestors=[wheel])


def _remarks(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the format has no field for: where the licence's text is, and that there is none."""
    if not record.get("license"):
        yield "license", "the package names none"
    yield "license-files", place_of(record) if texts_of(record) else "the package has none"


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    path = Path(record["link"]["source"]) / "info" / "about.json"
    return json.loads(path.read_bytes()) if path.exists() else {}
