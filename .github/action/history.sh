#!/usr/bin/env bash
# Measures this commit and puts the run on BRANCH, beside those of the commits before it. Leaves the
# page over all of them in cascade-bench/, and what changed in the summary of the job.
set -euo pipefail
kept="$RUNNER_TEMP/kept" # outside of the check-out: a run of a tree with new files is of no commit
git worktree add -q --detach "$kept"
if git -C "$kept" fetch -q --depth 1 origin "$BRANCH"; then
  git -C "$kept" switch -q --detach FETCH_HEAD
else
  git -C "$kept" switch -q --orphan "$BRANCH"
fi
code=0
pytest benchmarks --benchmark-only --size small --results "$kept" || code=$?
git -C "$kept" add -- . ':!.*' # without the cache of `history`
if ! git -C "$kept" diff --cached --quiet; then
  git -C "$kept" -c user.name=github-actions -c user.email=actions@users.noreply.github.com \
    commit -q -m "A run of $GITHUB_SHA"
  git -C "$kept" push -q origin "HEAD:refs/heads/$BRANCH"
fi
cascade-bench report "$kept"/*/*.json --out cascade-bench
{
  echo '```'
  cascade-bench history --results "$kept" --changed
  echo '```'
} >> "$GITHUB_STEP_SUMMARY"
exit "$code"
