"""How a Triton server behaves, as its flags say it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import InputError

MODEL_CONTROL_MODES = ("none", "explicit", "poll")


@dataclass(frozen=True)
class TritonOptions:
    """How the server behaves; each field is Triton's flag of the like name.

    `complete_config`: let the server fill in incomplete model configurations. Ours are complete, and without it
    a Python-backend model starts its process once instead of twice.
    """

    model_control_mode: str = "none"
    load_models: tuple[str, ...] = ()
    repository_poll_seconds: int = 15
    exit_timeout_seconds: int = 30
    complete_config: bool = False

    def __post_init__(self) -> None:
        if self.model_control_mode not in MODEL_CONTROL_MODES:
            raise InputError(
                f"model_control_mode {self.model_control_mode!r}: choose one of {', '.join(MODEL_CONTROL_MODES)}"
            )
        if self.load_models and self.model_control_mode != "explicit":
            raise InputError(
                f"load_models {', '.join(self.load_models)}: only model_control_mode explicit takes a choice, "
                f"{self.model_control_mode} loads all"
            )
        for name in ("repository_poll_seconds", "exit_timeout_seconds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: give 1 or more")

    def arguments(self) -> list[str]:
        """The server's arguments for these options."""
        arguments = [
            f"--model-control-mode={self.model_control_mode}",
            f"--exit-timeout-secs={self.exit_timeout_seconds}",
            *(f"--load-model={name}" for name in self.load_models),
        ]
        if self.model_control_mode == "poll":
            arguments.append(f"--repository-poll-secs={self.repository_poll_seconds}")
        if not self.complete_config:
            arguments.append("--disable-auto-complete-config")
        return arguments
