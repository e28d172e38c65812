#!/usr/bin/env bash
# Writes cascade-bench/comment.md into the one comment of this job (KEY) in pull request NUMBER: the one
# that begins with the job's mark is edited; where there is none, one is made. Needs gh and GH_TOKEN.
# Where GitHub takes no comment, that is a warning: the verdict is the job's, and stands in its summary.
set -euo pipefail
mark="<!-- cascade-bench $KEY -->"
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
body="$RUNNER_TEMP/cascade-bench-comment.md"
python - "$mark" "$body" <<'PYTHON'
import sys
from pathlib import Path

mark, body = sys.argv[1:]
text = Path("cascade-bench/comment.md").read_text(encoding="utf-8")
Path(body).write_text(f"{mark}\n{text[:60_000]}", encoding="utf-8")  # GitHub takes 65,536 characters
PYTHON
refused() {
  echo "::warning title=cascade-bench::No comment was written: GitHub refused it. The job needs" \
    "\"permissions: pull-requests: write\". The same text is in the summary of the job."
  exit 0
}
known=$(gh api --paginate "$comments" --jq \
  ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id") || refused
known=${known%%$'\n'*}
if [ -n "$known" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" -F "body=@$body" || refused
else
  gh api --silent --method POST "$comments" -F "body=@$body" || refused
fi
