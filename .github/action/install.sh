#!/usr/bin/env bash
# Installs the suite: INSTALL (words for pip), or the copy that this action is of.
# CONSTRAINTS: a file for pip, or empty. TORCH_INDEX: where torch comes from, or empty for pip's own.
set -euo pipefail
# an array is expanded only where it holds something: bash 3.2, that of macOS, takes an empty one for unset
constraints=(${CONSTRAINTS:+-c "$CONSTRAINTS"})
pip() { python -m pip install --disable-pip-version-check ${constraints[@]+"${constraints[@]}"} "$@"; }

pip ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
extras=all
if [ "$HISTORY" = true ]; then extras=all,report; fi
if [ -n "$INSTALL" ]; then
  read -ra words <<<"$INSTALL"
else
  words=("$GITHUB_ACTION_PATH[$extras]")
fi
pip ${words[@]+"${words[@]}"}
