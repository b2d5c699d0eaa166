"""Names of the steps: of their tasks, and in the ledger."""

from __future__ import annotations

DOWNLOAD = "download_month"
UPLOAD = "upload_month"
CREATE = "create_main_table"
STAGE = "stage_month"
HASH = "hash_rows"
CHECK = "check_month"
PUBLISH = "merge_month"
DISCARD = "drop_staging"

STEP_NAMES = (DOWNLOAD, UPLOAD, CREATE, STAGE, HASH, CHECK, PUBLISH)
"""The steps that the ledger records, in their order; a warehouse may do without some of them."""
