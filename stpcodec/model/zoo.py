"""Models by name or file: finding, checking and loading them.

A weights file is safetensors (never pickled): float16 matrices and float32 vectors of both networks, integer
tables of the prior and the entropy coder, and the configuration as JSON in its metadata. Package weights are
named ``NAME-<first 8 of the file's sha256>.safetensors``.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from stpcodec.entropy.tables import TableSet
from stpcodec.errors import ModelError, UsageError
from stpcodec.latents.blend import BLEND_CONTEXTS, CHOICES
from stpcodec.latents.motion_field import CONTEXTS
from stpcodec.latents.quantise import SCALE_COUNT
from stpcodec.model.config import ModelConfig
from stpcodec.model.dct import dct_model
from stpcodec.model.folders import LARGEST_FILE, find_named, model_folders, models_in
from stpcodec.model.learned import Z_CONTEXTS, LearnedTransform
from stpcodec.model.library import PREFIX, read_library
from stpcodec.model.motion_tables import SYMBOLS, MotionTables
from stpcodec.model.network import ChunkNetwork, StpNetwork
from stpcodec.model.transform import Model

DEFAULT_MODEL = "stp-s"
TILT = "tilt"
"""Name of a network's table (LearnedTransform.tilted)."""
WEIGHTS_FOLDER = Path(__file__).parent / "weights"


def list_models() -> dict[str, Path | None]:
    """Names of the package's models and their weights files (None: needs none)."""
    found: dict[str, Path | None] = {"dct": None}
    for path in sorted(WEIGHTS_FOLDER.glob("*.safetensors")):
        found[path.stem.rsplit("-", 1)[0]] = path
    return found


def resolve_device(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``. Raises UsageError for other names, ModelError when absent."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: not a device; use auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: not supported; use auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise ModelError(f"--device {name}: there is no such CUDA device here; use --device cpu or auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError(f"--device {name}: Metal is not available here; use --device cpu or auto")
    return device


def load_model(
    name_or_path: str | Path | None = None, *, sha256: str | None = None, device: torch.device,
    dtype: torch.dtype = torch.float32, model_dir: str | Path | None = None,
) -> Model:  # fmt: skip
    """A model ready to code with.

    name_or_path: a model's name, a weights file, or None for the default. sha256: the weights a file was made with,
    which must match. model_dir: a folder of models to look into first, see `model.folders`. Raises ModelError when
    the model is missing or not that one.
    """
    name = str(name_or_path or DEFAULT_MODEL)
    if name == "dct":
        model = dct_model(device)
    else:
        model = load_weights(weights_path(name, model_dir), device=device, dtype=dtype)
    if sha256 is not None and model.weights_sha256 != sha256:
        raise ModelError(
            f"model {name}: the file was made with weights {sha256[:8]}, this installation has "
            f"{model.weights_sha256[:8]}; install the version of stpcodec that made it, or give its weights file"
        )
    return model


def weights_path(name: str, model_dir: str | Path | None = None) -> Path:
    """The weights file of a learned model's name, or the file itself.

    The package's models come first, then those of the folders of models. Raises ModelError when there is none.
    """
    models, folders = list_models(), model_folders(model_dir)
    path = models.get(name) or find_named(name, folders) or Path(name)
    if not path.is_file():
        known = ", ".join([*models, *models_in(folders)])
        raise ModelError(f"model {name}: neither a model of this installation ({known}) nor a weights file")
    return path


def load_network(name: str, model_dir: str | Path | None = None) -> StpNetwork:
    """The trainable network behind a weights file, on the CPU: training continues from weights alone."""
    network, _, _ = _read(weights_path(name, model_dir))
    return network


def load_weights(path: Path, *, device: torch.device, dtype: torch.dtype = torch.float32) -> Model:
    """A weights file as a Model; raises ModelError naming what does not fit."""
    network, extra, digest = _read(path)
    network.eval().requires_grad_(False)
    _require_exact_float32()
    return Model(
        name=network.config.name,
        weights_sha256=digest,
        intra=_transform(network.intra, "intra", extra, path, device, dtype),
        inter=_transform(network.inter, "inter", extra, path, device, dtype),
        motion_tables=MotionTables(
            _table(extra, "tables.motion", (CONTEXTS, SYMBOLS), path),
            _table(extra, "tables.blend", (BLEND_CONTEXTS, CHOICES + 1), path),
        ),
        device=device,
        library=read_library({key: value for key, value in extra.items() if key.startswith(PREFIX)}, path, device),
    )


def _read(path: Path) -> tuple[StpNetwork, dict[str, torch.Tensor], str]:
    """(network, tables and library, sha256) of a weights file."""
    try:
        if os.path.getsize(path) > LARGEST_FILE:
            raise ModelError(f"{path}: {os.path.getsize(path)} bytes; weights files have at most {LARGEST_FILE}")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with safe_open(path, framework="pt") as file:
            config = ModelConfig.from_json((file.metadata() or {}).get("config", ""))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a weights file ({error})") from error
    extra = {key: tensors.pop(key) for key in list(tensors) if key.startswith(("tables.", PREFIX))}
    for key, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise ModelError(f"{path}: {key} holds infinite values or none at all; the training run has diverged")
    # On "meta" nothing is allocated or drawn: sizes come from the configuration, memory only from the file.
    with torch.device("meta"):
        network = StpNetwork(config)
    try:
        network.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: its tensors do not fit its configuration; {detail}") from error
    return network, extra, digest


def _transform(
    network: ChunkNetwork,
    name: str,
    extra: dict[str, torch.Tensor],
    path: Path,
    device: torch.device,
    dtype: torch.dtype,
) -> LearnedTransform:
    network.prior.check_exact(f"{path}: {name}")
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    quality = {}
    for table, module in (("join_quality", network.prior.join_quality), ("index_quality", network.prior.index_quality)):
        shape = (100, module.points.shape[1])
        quality[table] = _table(extra, f"tables.{name}.{table}", shape, path).to(device)
    network.prior.freeze(quality)
    y = TableSet(_table(extra, f"tables.{name}.y", (SCALE_COUNT, None), path).long().numpy())
    tables = network.config.hyper * (Z_CONTEXTS if network.inter else 1)
    z = TableSet(_table(extra, f"tables.{name}.z", (tables, None), path).long().numpy())
    tilt = None
    if f"tables.{name}.{TILT}" in extra:  # not in files of before 2026-11-29
        tilt = _table(extra, f"tables.{name}.{TILT}", (1, network.config.latents), path)[0]
    return LearnedTransform(network, y, z, dtype=dtype, tilt=tilt)


def _table(extra: dict[str, torch.Tensor], key: str, shape: tuple[int, int | None], path: Path) -> torch.Tensor:
    table = extra.get(key)
    if table is None or table.ndim != 2 or table.dtype != torch.int32:
        raise ModelError(f"{path}: {key} is missing or not a table of int32; export the weights again")
    if table.shape[0] != shape[0] or shape[1] not in (None, table.shape[1]):
        raise ModelError(f"{path}: {key} is {tuple(table.shape)}, expected {shape}; export the weights again")
    return table


def _require_exact_float32() -> None:
    """TF32 and bfloat16 products would make the integer prior inexact: off for this process."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
