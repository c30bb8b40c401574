"""Run directory: layout, lock, resumable stages, digests and atomic file operations.

Other packages import from here, except for `ctai.rundir.diff`. Knows nothing of the meaning of the files.
"""

from ctai.rundir.files import (
    copy_file,
    disk_errors,
    first_bad_line,
    json_text,
    jsonl_lines,
    new_folder,
    read_jsonl,
    read_record,
    remove_leftovers,
    stream_jsonl,
    temporary_name,
    write_bytes,
    write_json,
    write_jsonl,
    write_text,
)
from ctai.rundir.hashing import canonical_json, digest_of, digest_path, jsonable, sha256_bytes, sha256_file, sha256_tree
from ctai.rundir.layout import PLANNED_ARTIFACTS, SUCCESS_MARKER, RunDir
from ctai.rundir.stage import Batches, Stage

__all__ = [
    "PLANNED_ARTIFACTS",
    "SUCCESS_MARKER",
    "Batches",
    "RunDir",
    "Stage",
    "canonical_json",
    "copy_file",
    "digest_of",
    "digest_path",
    "disk_errors",
    "first_bad_line",
    "json_text",
    "jsonable",
    "jsonl_lines",
    "new_folder",
    "read_jsonl",
    "read_record",
    "remove_leftovers",
    "sha256_bytes",
    "sha256_file",
    "sha256_tree",
    "stream_jsonl",
    "temporary_name",
    "write_bytes",
    "write_json",
    "write_jsonl",
    "write_text",
]
