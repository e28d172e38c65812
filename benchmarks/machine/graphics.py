"""Describe the GPUs from one call of ``nvidia-smi -q -x``; an absent field harms nothing.

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
# reasons for a low clock that disturb nothing: idle, or clocks that somebody set on purpose
HARMLESS = ("gpu_idle", "applications_clocks_setting", "display_clocks_setting")


def gpus(host: Host) -> list[dict[str, Any]]:
    """Describe every GPU that ``CUDA_VISIBLE_DEVICES`` leaves visible, in nvidia-smi's order.

    Returns:
        For each GPU name, UUID, driver, MIG slices, clocks, throttle reasons and processes; None
        where nvidia-smi does not tell.
    """
    text = host.call(QUERY)
    try:
        root = ElementTree.fromstring(text) if text else None
    except ElementTree.ParseError:
        root = None
    if root is None:
        return visible(_from_driver(host), host.environ)
    driver = _text(root, "driver_version")
    return visible([_described(gpu, driver) for gpu in root.iter("gpu")], host.environ)


def stable(cards: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what belongs to the machine's identity: ``gpu``, ``driver`` and ``gpus``.

    ``gpu`` is the name of the first GPU, ``gpus`` are the names and MIG slices of all.
    """
    return {
        "gpu": cards[0]["name"] if cards else None,
        "driver": cards[0]["driver"] if cards else None,
        "gpus": [{"name": gpu["name"], "slices": gpu["slices"]} for gpu in cards],
    }


def state(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each GPU's description for the record, without UUID and names of processes."""
    return [
        {name: value for name, value in gpu.items() if name not in ("uuid", "processes")}
        | {"processes": len(gpu["processes"])}
        for gpu in cards
    ]


def visible(cards: list[dict[str, Any]], environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the GPUs that ``CUDA_VISIBLE_DEVICES`` names, up to the first unknown name.

    CUDA too ignores every name after an unknown one.
    """
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return cards
    named: list[dict[str, Any]] = []
    for name in (part.strip() for part in chosen.split(",")):
        fitting = [gpu for index, gpu in enumerate(cards) if _is_named(gpu, index, name)]
        if not fitting:
            break
        named += [gpu for gpu in fitting if gpu not in named]
    return named


def _is_named(gpu: Mapping[str, Any], index: int, name: str) -> bool:
    """Return whether the name means this GPU: by number, start of its UUID, or a slice of it.

    Numbers are nvidia-smi's, in the order of the bus. CUDA's own order is the same only with
    ``CUDA_DEVICE_ORDER=PCI_BUS_ID``, or if all GPUs are alike.
    """
    if name.startswith("MIG-"):
        return bool(gpu["slices"])
    return name == str(index) or (name.startswith("GPU-") and gpu["uuid"].startswith(name))


def _described(gpu: ElementTree.Element, driver: str | None) -> dict[str, Any]:
    """Return the description of a GPU from its part of nvidia-smi's document, see `gpus`.

    Args:
        gpu: the element ``gpu``.
        driver: version of the driver.
    """
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
        "throttle_reasons": [match[1] for match in reasons if match],
        "processes": [_process(one) for one in gpu.iter("process_info")],
    }


def _is_active(element: ElementTree.Element) -> bool:
    """Return whether the document marks a throttle reason as active."""
    return (element.text or "").strip() == "Active"


def _slice(part: ElementTree.Element) -> dict[str, float | None]:
    """Return the size of a MIG slice; the document does not name its profile."""
    return {
        "multiprocessors": _number(part, "device_attributes/shared/multiprocessor_count"),
        "memory_mib": _number(part, "fb_memory_usage/total"),
    }


def _process(one: ElementTree.Element) -> dict[str, str | None]:
    """Return id, type and name of a process that uses the GPU."""
    return {name: _text(one, name) for name in ("pid", "type", "process_name")}


def _text(element: ElementTree.Element, path: str) -> str | None:
    """Return the text of the element at a path; None where there is none or it is N/A."""
    text = (element.findtext(path) or "").strip()
    return text if text not in ("", "N/A", "[N/A]") else None


def _number(element: ElementTree.Element, path: str) -> float | None:
    """Return the number at a path, in front of its unit as in ``1980 MHz``; None if none."""
    try:
        return float((_text(element, path) or "").split()[0])
    except (ValueError, IndexError):
        return None


def _from_driver(host: Host) -> list[dict[str, Any]]:
    """Describe the GPUs by the driver's own files, names and version alone, if nvidia-smi fails.

    A session in which nvidia-smi is too slow is then not taken for another machine.
    """
    version = re.search(
        r"Module\D*?(?:x86_64\D*)?(\d+\.[\d.]*\d)", host.text(f"{PROC}/version") or ""
    )
    cards = []
    for path in host.glob(f"{PROC}/gpus/*/information"):
        about = (line.partition(":") for line in (host.text(path) or "").splitlines())
        fields = {key.strip(): value.strip() for key, _, value in about}
        empty = ElementTree.Element("gpu")
        gpu = _described(empty, version[1] if version else None)
        cards.append(gpu | {"name": fields.get("Model"), "uuid": fields.get("GPU UUID", "")})
    return cards
