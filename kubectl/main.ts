#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `kubectl im`: see docs/kubectl-im.md.
import { writeSync } from "node:fs";
import { text } from "node:stream/consumers";
import { systemClock } from "#lib/clock.ts";
import { EXIT } from "./fault.ts";
import { run } from "./run.ts";

/** After Ctrl-C a command ends by itself; should it hang all the same, it is ended. */
const LAST_WORDS_MS = 2_000;

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(EXIT.interrupted);
    interrupted.abort();
    setTimeout(() => process.exit(EXIT.interrupted), LAST_WORDS_MS).unref();
  });
}
// The reader has gone, for example `| head`: nothing is left to be said.
process.stdout.on("error", () => process.exit(EXIT.ok));

process.exitCode = await run(process.argv.slice(2), {
  terminal: {
    out: (line) => void process.stdout.write(line),
    err: (line) => void writeSync(2, line),
    isTty: process.stdout.isTTY === true,
    readInput: () => text(process.stdin),
  },
  env: process.env,
  clock: systemClock,
  signal: interrupted.signal,
});
