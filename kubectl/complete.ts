#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `kubectl_complete-im`: what kubectl asks when it completes `kubectl im`. Candidates, then `:4`: no file names.
import { candidates } from "./completion.ts";

process.stdout.write(`${[...candidates(process.argv.slice(2)), ":4"].join("\n")}\n`);
