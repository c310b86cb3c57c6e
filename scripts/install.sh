#!/usr/bin/env bash
# npm ci without install scripts, once per lock file; says what is missing before npm would, and how to go on where it fails.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "missing: $tool. Install Node.js with npm (any version from 20 on starts the installation), then run make again." >&2; exit 1; }
done
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || { echo "Node $(node --version) is too old to install the packages: 20 or newer is needed (24.12 to run; npm brings that one on Linux x64)." >&2; exit 1; }
echo "installing packages (npm ci --ignore-scripts)" >&2
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
  { echo "npm could not install the packages: what it says is above. Is there a way to its registry (npm config get registry, HTTPS_PROXY) and space on the disk? Then run make again." >&2; exit 1; }
