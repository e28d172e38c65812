"""The GPUs as ``nvidia-smi -q -x`` tells them: one call, and a field that is absent harms nothing.

A query of named fields fails as a whole when a driver has renamed one of them, as it did with the
throttle reasons (``clocks_throttle_reasons`` up to 535, ``clocks_event_reasons`` later).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from benchmarks.machine.host import Host

QUERY = ("nvidia-smi", "-q", "-x")
REASON = re.compile(r"clocks_(?:throttle|event)_reason_(.+)")
PROC = "proc/driver/nvidia"
# no sign of trouble: nothing runs, or somebody set the clocks on purpose
HARMLESS = ("gpu_idle", "applications_clocks_setting", "display_clocks_setting")


def gpus(host: Host) -> list[dict[str, Any]]:
    """Every GPU that ``CUDA_VISIBLE_DEVICES`` leaves; none where there is none."""
    text = host.call(QUERY)
    try:
        root = ElementTree.fromstring(text) if text else None
    except ElementTree.ParseError:
        root = None
    if root is None:
        return visible(_from_driver(host), host.environ)
    driver = _text(root, "driver_version")
    return visible([_one(gpu, driver) for gpu in root.iter("gpu")], host.environ)


def stable(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What belongs to the machine's identity; ``gpu`` is the first one's name."""
    return {
        "gpu": found[0]["name"] if found else None,
        "driver": found[0]["driver"] if found else None,
        "gpus": [{"name": gpu["name"], "slices": gpu["slices"]} for gpu in found],
    }


def state(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clocks and the like for the record, which names neither the card nor who else uses it."""
    return [
        {name: value for name, value in gpu.items() if name not in ("uuid", "processes")}
        | {"processes": len(gpu["processes"])}
        for gpu in found
    ]


def visible(found: list[dict[str, Any]], environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Those that ``CUDA_VISIBLE_DEVICES`` names, up to the first name that fits none (as CUDA)."""
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return found
    kept: list[dict[str, Any]] = []
    for name in (part.strip() for part in chosen.split(",")):
        fitting = [gpu for index, gpu in enumerate(found) if _is_named(gpu, index, name)]
        if not fitting:
            break
        kept += [gpu for gpu in fitting if gpu not in kept]
    return kept


def _is_named(gpu: Mapping[str, Any], index: int, name: str) -> bool:
    """By number, by the beginning of its UUID, or as one that is cut into slices.

    Numbers are nvidia-smi's, in the order of the bus; CUDA's own order is that only where
    ``CUDA_DEVICE_ORDER=PCI_BUS_ID``, or where all GPUs are alike.
    """
    if name.startswith("MIG-"):
        return bool(gpu["slices"])
    return name == str(index) or (name.startswith("GPU-") and gpu["uuid"].startswith(name))


def _one(gpu: ElementTree.Element, driver: str | None) -> dict[str, Any]:
    reasons = (REASON.fullmatch(e.tag) for e in gpu.iter() if _is_active(e))
    return {
        "name": _text(gpu, "product_name"),
        "uuid": _text(gpu, "uuid") or "",
        "driver": driver,
        "slices": [_slice(part) for part in gpu.iter("mig_device")],
        "persistence": _text(gpu, "persistence_mode"),
        "compute_mode": _text(gpu, "compute_mode"),
        "performance_state": _text(gpu, "performance_state"),
        "sm_clock_mhz": _number(gpu, "clocks/sm_clock"),
        "max_sm_clock_mhz": _number(gpu, "max_clocks/sm_clock"),
        "temperature_c": _number(gpu, "temperature/gpu_temp"),
        "utilization_percent": _number(gpu, "utilization/gpu_util"),
        "throttle_reasons": [found[1] for found in reasons if found],
        "processes": [_process(one) for one in gpu.iter("process_info")],
    }


def _is_active(element: ElementTree.Element) -> bool:
    return (element.text or "").strip() == "Active"


def _slice(part: ElementTree.Element) -> dict[str, float | None]:
    """A slice's size: the document has no name of its profile."""
    return {
        "multiprocessors": _number(part, "device_attributes/shared/multiprocessor_count"),
        "memory_mib": _number(part, "fb_memory_usage/total"),
    }


def _process(one: ElementTree.Element) -> dict[str, str | None]:
    return {name: _text(one, name) for name in ("pid", "type", "process_name")}


def _text(element: ElementTree.Element, path: str) -> str | None:
    text = (element.findtext(path) or "").strip()
    return text if text not in ("", "N/A", "[N/A]") else None


def _number(element: ElementTree.Element, path: str) -> float | None:
    """The number in front of its unit: ``1980 MHz``."""
    try:
        return float((_text(element, path) or "").split()[0])
    except (ValueError, IndexError):
        return None


def _from_driver(host: Host) -> list[dict[str, Any]]:
    """Names and version from the driver's own files, where nvidia-smi is absent or too slow.

    So that a session in which it fails is not taken for another machine.
    """
    version = re.search(
        r"Module\D*?(?:x86_64\D*)?(\d+\.[\d.]*\d)", host.text(f"{PROC}/version") or ""
    )
    found = []
    for path in host.found(f"{PROC}/gpus/*/information"):
        about = (line.partition(":") for line in (host.text(path) or "").splitlines())
        fields = {key.strip(): value.strip() for key, _, value in about}
        nothing = ElementTree.Element("gpu")
        gpu = _one(nothing, version[1] if version else None)
        found.append(gpu | {"name": fields.get("Model"), "uuid": fields.get("GPU UUID", "")})
    return found
