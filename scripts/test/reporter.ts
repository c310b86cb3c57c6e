// SPDX-License-Identifier: Apache-2.0
// Reporter for `node --test`: one line per file, failures in full, counts into the file named by IM_TEST_COUNTS.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import { inspect } from "node:util";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface TestEvent {
  type: string;
  data: {
    name: string;
    file?: string;
    nesting: number;
    skip?: string | boolean;
    todo?: string | boolean;
    message?: string;
    details?: { type?: string; duration_ms?: number; error?: unknown };
  };
}

interface FileLine extends Counts {
  durationMs: number;
}

const isSuite = (event: TestEvent): boolean => event.data.details?.type === "suite";
const fileOf = (event: TestEvent): string => relative(process.cwd(), event.data.file ?? event.data.name);

function failureText(event: TestEvent): string {
  const error = event.data.details?.error;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return `\n✖ ${fileOf(event)}: ${event.data.name}\n${inspect(cause, { depth: 4 })}\n\n`;
}

/** Counts leaf tests; a failed suite without failed leaves (a failing hook) counts as one failure. */
class Tally {
  readonly total: Counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #files = new Map<string, FileLine>();

  add(event: TestEvent): void {
    const kind = event.data.skip || event.data.todo ? "skipped" : event.type === "test:pass" ? "passed" : "failed";
    const line = this.#files.get(fileOf(event)) ?? { passed: 0, failed: 0, skipped: 0, durationMs: 0 };
    this.#files.set(fileOf(event), line);
    if (event.data.nesting === 0) line.durationMs += event.data.details?.duration_ms ?? 0;
    if (isSuite(event)) return;
    line[kind]++;
    this.total[kind]++;
  }

  *lines(): Generator<string> {
    for (const [file, line] of [...this.#files].sort()) {
      const failed = line.failed > 0 ? `, ${line.failed} failed` : "";
      yield `  ${file}: ${line.passed} passed${failed} (${(line.durationMs / 1000).toFixed(1)} s)\n`;
    }
  }
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const tally = new Tally();
  for await (const event of events) {
    if (event.type === "test:stderr" || event.type === "test:stdout") {
      if (process.env.IM_TEST_VERBOSE) yield event.data.message ?? "";
      continue;
    }
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    tally.add(event);
    if (
      event.type === "test:fail" &&
      !(isSuite(event) && /subtests? failed/.test(String(inspect(event.data.details?.error))))
    )
      yield failureText(event);
  }
  yield* tally.lines();
  const out = process.env.IM_TEST_COUNTS;
  if (out) writeFileSync(out, JSON.stringify(tally.total));
}
