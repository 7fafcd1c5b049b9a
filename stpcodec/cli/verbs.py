"""The verbs: what the list says of them, and their modules, each loaded only when it is asked for.

A start that builds all of them takes a tenth of a second more, most of it for options that nobody named.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

PANELS = {
    "Video": {
        "encode": "Encode a video into a .stp file, or several into a folder.",
        "quality-search": "Find the quality for a target without encoding all of a video, and print the `encode` "
        "command for it.",
        "batch": "Encode many videos into a folder, on one machine or several.",
        "decode": "Decode a .stp file into a video, with the sound and everything else of its source, or several into "
        "a folder.",
        "info": "Show what is in .stp files.",
        "verify": "Check every checksum and latent hash of .stp files, and name what is damaged.",
        "repair": "Write every intact segment of a damaged .stp file, and what is left of its sound, as a sound new "
        "file.",
        "cut": "Copy a part of a .stp file, with the sound and everything else beside it, without coding anything "
        "anew.",
        "concat": "Join .stp files, with their sound and everything else, without coding anything anew.",
        "thumb": "Make a sheet of small pictures of a .stp file, without decoding all of it.",
        "compare": "Show a .stp file beside its original: one HTML page to open in a browser.",
    },
    "Models and measurement": {
        "bench": "Compare our models with other codecs on the same frames: rate, PSNR, MS-SSIM, VMAF, BD-rate, a page "
        "to look at.",
        "bench-speed": "Compare the speed of our models with other codecs' on one clip: frames a second, memory, "
        "stages, MACs.",
        "train": "Train a model on folders of videos and export its weights, with a model card.",
        "train-plot": "Draw the validation curves of training runs, also while they are running.",
        "export": "Make a model of a training run's checkpoint: weights with counted tables, and a model card.",
        "finetune": "Adapt a model to your own footage: the same scenes at a lower rate, for files that only this "
        "model decodes.",
        "doctor": "Look at versions, devices, models, codecs and disk, and try encoding and decoding.",
    },
}
"""Panel → verb → the first line of its help."""
_MODULES = {"batch": "batch_command"}
"""Of verbs whose module is not called as they are."""


def load(verb: str) -> Callable[..., None]:
    """The function of a verb."""
    name = verb.replace("-", "_")
    function: Callable[..., None] = getattr(
        importlib.import_module(f"stpcodec.cli.{_MODULES.get(verb, name)}"), name
    )
    return function


class Verbs(TyperGroup):
    """A verb of two words may be typed as two: `bench speed` is `bench-speed`. What is called `speed` is `./speed`.

    `commands` holds what a list of verbs needs; `full` has the options.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for panel, verbs in PANELS.items():
            for name, said in verbs.items():
                self.commands[name] = TyperCommand(name, help=said, rich_help_panel=panel)

    def full(self, name: str) -> TyperCommand:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(load(name))
        command = typer.main.get_command(alone)
        assert isinstance(command, TyperCommand)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        both = "-".join(args[:2])
        name, command, rest = super().resolve_command(ctx, [both, *args[2:]] if both in self.commands else args)
        return name, command and self.full(str(name)), rest
