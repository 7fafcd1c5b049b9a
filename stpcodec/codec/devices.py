"""`--device` as one device or a list: of `cuda:0,cuda:1` each worker process has the next one.

A file must not depend on which device was free, so a list is of one kind: sums are rounded differently on a GPU and a
processor, and on two kinds of GPU.
"""

from __future__ import annotations

import torch

from stpcodec.errors import UsageError
from stpcodec.model.zoo import resolve_device


def listed(text: str) -> tuple[str, ...]:
    """The names in a list of devices. Raises UsageError, before torch has looked for any."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError(f"--device {text}: an entry has no name; write a list as cuda:0,cuda:1")
    if len(names) > 1 and "auto" in names:
        raise UsageError(f"--device {text}: auto is one device; name those of a list, as in cuda:0,cuda:1")
    return names


def first_device(text: str) -> str:
    """The device of the process that has the workers. Raises UsageError."""
    return listed(text)[0]


def resolve_devices(text: str) -> tuple[torch.device, ...]:
    """The devices of a list, in order; a device named twice has two workers.

    Raises:
        UsageError: no list of devices, or of several kinds.
        ModelError: one of them is not here.
    """
    devices = tuple(resolve_device(name) for name in listed(text))
    if len({device.type for device in devices}) > 1:
        raise UsageError(
            f"--device {text}: rounding differs between kinds of device, and the file would depend on which was free; "
            f"name devices of one kind"
        )
    if devices[0].type == "cuda":
        kinds = {torch.cuda.get_device_name(device) for device in devices}
        if len(kinds) > 1:
            raise UsageError(
                f"--device {text}: these are of several kinds ({', '.join(sorted(kinds))}), whose rounding differs; "
                f"name GPUs of one kind"
            )
    return devices
