"""The model card: what a weights file is, in Markdown beside it, from what the run's folder says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stpcodec.model.config import NetworkConfig
from stpcodec.training.checkpoint import Checkpoint
from stpcodec.training.run_log import NAME as LOG_NAME
from stpcodec.training.run_log import read_rows
from stpcodec.training.run_record import RunRecord, read_record
from stpcodec.training.validate import QUALITIES

CURVE_ROWS = 12
UNSTATED = "not stated; the licences of the videos decide what may be done with these weights"


@dataclass(frozen=True)
class CardFacts:
    """state: the checkpoint that was exported. rows: of the run's log. notes: further lines of the table."""

    state: Checkpoint
    record: RunRecord | None
    rows: Sequence[dict[str, float]] = ()
    licence: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of_run(state: Checkpoint, run: Path, *, licence: str = "", notes: dict[str, str] | None = None) -> CardFacts:
        """Whatever of it is in the folder `run`. Raises InputError when it is there and cannot be read."""
        rows = read_rows(run / LOG_NAME) if (run / LOG_NAME).exists() else []
        return CardFacts(state, read_record(run), rows, licence, notes or {})


def write_card(weights: Path, facts: CardFacts) -> Path:
    """The card of a weights file, under its name with .md; returns its path."""
    path = weights.with_suffix(".md")
    temporary = path.with_suffix(".md.tmp")
    temporary.write_text(model_card(weights, facts), encoding="utf-8")
    temporary.rename(path)
    return path


def model_card(weights: Path, facts: CardFacts) -> str:
    """The text. Folders are named without what lies above them: a card travels further than a disk's paths should."""
    state, config = facts.state, facts.state.network.config
    data = weights.read_bytes()
    lines = {
        "file": f"`{weights.name}`, {len(data) / 1e6:.1f} MB",
        "sha256": f"`{hashlib.sha256(data).hexdigest()}`",
        "networks": f"intra ({_sizes(config.intra)}), inter ({_sizes(config.inter)}); {_parameters(state)} parameters",
        "format": "float16 matrices, float32 vectors, 8-bit integers of the prior, counted tables; see `model/zoo.py`",
        **_training(facts.record),
        "steps": f"{state.step}, of them {state.skipped} skipped because their gradients were not finite",
        "minutes": f"{state.minutes:.1f}",
        "best validation score": f"{state.best_score:.4f}: log2(bits + λ·error) per pixel, mean over "
        f"{_scored(facts.record)}, bits estimated; 0.1 less is 7 % less cost",
        **facts.notes,
        "licence": facts.licence or UNSTATED,
    }
    table = "\n".join(f"| {_cell(key)} | {_cell(value)} |" for key, value in lines.items())
    return f"# Model card: {config.name}\n\n| | |\n|---|---|\n{table}\n{_curve(facts)}"


def _scored(record: RunRecord | None) -> str:
    if record is not None and record.settings.get("chains"):
        return "predicted pictures of encodes of held-out clips"
    return f"both networks and qualities {', '.join(map(str, QUALITIES))}"


def _training(record: RunRecord | None) -> dict[str, str]:
    if record is None:
        return {"trained on": "not recorded: the checkpoint's folder has no run.json"}
    names = ", ".join(f"`{Path(path).name}`" for path in record.videos)
    held_out = ", ".join(f"`{Path(path).name}`" for path in record.validation) or "the last part of them, held out"
    settings = ", ".join(f"{key} {value}" for key, value in record.settings.items())
    recipe = "; ".join(record.stages)
    return {
        "trained on": f"{names}: {record.files} clips and pictures; the tables are counted on them, too",
        "validated on": f"{held_out}: {record.validation_files} clips",
        "began with": f"{Path(record.start).name}",
        "recipe": f"`{record.recipe}`: {recipe}" if record.recipe else "none: one stage with the settings below",
        "settings": settings,
    }


def _sizes(config: NetworkConfig) -> str:
    return f"{config.latents} latents, width {config.width} and {config.wide}"


def _parameters(state: Checkpoint) -> str:
    return f"{sum(parameter.numel() for parameter in state.network.parameters()):,}"


def _curve(facts: CardFacts) -> str:
    if not facts.rows:
        return ""
    step = -(-len(facts.rows) // CURVE_ROWS)
    chosen = [row for number, row in enumerate(reversed(facts.rows)) if number % step == 0][::-1]
    lines = "\n".join(f"| {row['step']:.0f} | {row['minutes']:.1f} | {row['score']:.4f} |" for row in chosen)
    return f"\n## Validation curve\n\n| step | minutes | score |\n|---|---|---|\n{lines}\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
