"""Context of a stage: the arguments that every stage of a run takes besides its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctai.config import RunConfig
from ctai.progress import Progress
from ctai.provenance.environment import GitState, code_digest
from ctai.records import MadeBy
from ctai.rundir import RunDir, Stage


@dataclass(kw_only=True)
class StageContext:
    """Configuration, run directory, run id, code version and progress, passed on together.

    Attributes:
        config: configuration that the stage uses.
        rundir: run directory.
        run_id: run id for the records.
        git: commit and state of the working tree of the code.
        made_by: maker of what the stages make.
        progress: progress display.
    """

    config: RunConfig
    rundir: RunDir
    run_id: str
    git: GitState
    progress: Progress
    made_by: MadeBy

    def with_config(self, config: RunConfig) -> "StageContext":
        """Return the same context with another configuration, such as that of a retry."""
        return StageContext(
            config=config,
            rundir=self.rundir,
            run_id=self.run_id,
            git=self.git,
            progress=self.progress,
            made_by=self.made_by,
        )

    def stage(self, name: str, folder: Path, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> Stage:
        """Return a stage keyed by its parameters, its inputs and the digest of the code."""
        return Stage(self.rundir, name, folder, {**parameters, "code": code_digest()}, inputs, self.made_by)
