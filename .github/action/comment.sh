#!/usr/bin/env bash
# Writes cascade-bench/comment.md into the one comment of this action in pull request NUMBER: the one
# that begins with the mark is edited; where there is none, one is made. Needs gh and GH_TOKEN.
set -euo pipefail
mark='<!-- cascade-bench -->'
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
body="$RUNNER_TEMP/cascade-bench-comment.md"
python - "$mark" "$body" <<'PYTHON'
import sys
from pathlib import Path

mark, body = sys.argv[1:]
text = Path("cascade-bench/comment.md").read_text(encoding="utf-8")
Path(body).write_text(f"{mark}\n{text[:60_000]}", encoding="utf-8")  # GitHub takes 65,536 characters
PYTHON
known=$(gh api --paginate "$comments" --jq \
  ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id")
known=${known%%$'\n'*}
if [ -n "$known" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" -F "body=@$body"
else
  gh api --silent --method POST "$comments" -F "body=@$body"
fi
