#!/usr/bin/env bash
# Compares the files with BASE, within BUDGET; ARGUMENTS are words for `cascade-bench regress`.
# Leaves cascade-bench/comment.md and regression.json, and the table in the summary of the job.
# Ends as `regress` does, but for 3 (not told), which INCONCLUSIVE=pass lets pass.
set -euo pipefail
mkdir -p cascade-bench
printf '*\n' > cascade-bench/.gitignore # what is compared is the tree without these files
words=() # filled and expanded as bash 3.2 can, that of macOS: without mapfile, and not if empty
if [ -n "$ARGUMENTS" ]; then
  # quotes hold, but nothing is expanded or run
  while IFS= read -r word; do words+=("$word"); done < <(
    python -c 'import shlex, sys; print("\n".join(shlex.split(sys.argv[1])))' "$ARGUMENTS"
  )
fi
code=0
cascade-bench regress "$BASE" --budget "$BUDGET" --results cascade-bench/comparisons \
  --markdown cascade-bench/comment.md --json cascade-bench/regression.json ${words[@]+"${words[@]}"} || code=$?
echo "code=$code" >> "$GITHUB_OUTPUT"
if [ -s cascade-bench/comment.md ]; then cat cascade-bench/comment.md >> "$GITHUB_STEP_SUMMARY"; fi
if [ "$code" = 3 ] && [ "$INCONCLUSIVE" = pass ]; then code=0; fi
exit "$code"
