// SPDX-License-Identifier: Apache-2.0
// Loaded into the process of every test file: one whose tests are over but which does not end (a timer, socket or child
// process that a test left open) would hold up its whole suite without a word. It ends itself, failed, and says what is open.
import { after } from "node:test";

/** How a line of standard error begins that says why a test file ended itself. */
export const STILL_OPEN = "tests are over, still open: ";
const GRACE_MS = 15_000;

function endIfStillOpen(): void {
  const open = process.getActiveResourcesInfo().sort();
  process.stderr.write(`${STILL_OPEN}${open.join(", ")}\n`, () => process.exit(1));
}

if (process.env.NODE_TEST_CONTEXT?.startsWith("child")) {
  const graceMs = Number(process.env.IM_TEST_EXIT_GRACE_MS ?? GRACE_MS);
  after(() => void setTimeout(endIfStillOpen, graceMs).unref());
}
