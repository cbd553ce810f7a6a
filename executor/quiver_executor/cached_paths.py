"""Where an executor's cached blocks are."""

from __future__ import annotations

import os
import shutil


def memory_directory(memory_dir: str, blocks_dir: str, executor_id: str) -> str:
    """Where this executor's blocks in memory are; on disk where there is no shared memory."""
    return os.path.join(memory_dir or blocks_dir, f"memory-{executor_id.replace('/', '-')}")


def disk_directory(blocks_dir: str, executor_id: str) -> str:
    return os.path.join(blocks_dir, f"cached-{executor_id.replace('/', '-')}")


def remove_all(memory_dir: str, blocks_dir: str, executor_id: str) -> None:
    """Delete all blocks of an executor that has ended. Nothing there is no error."""
    shutil.rmtree(memory_directory(memory_dir, blocks_dir, executor_id), ignore_errors=True)
    shutil.rmtree(disk_directory(blocks_dir, executor_id), ignore_errors=True)
