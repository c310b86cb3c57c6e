// SPDX-License-Identifier: Apache-2.0
// Reporter for `node --test`: one line per file, failures in full, counts into the file named by IM_TEST_COUNTS, and names of
// the tests that passed into that of IM_TEST_PASSED.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import { inspect } from "node:util";
import { STILL_OPEN } from "./exit-check.ts";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What is left of a run: its counts, a line per failure for the end of a long log, and what has begun and not ended. */
export interface Summary extends Counts {
  failures: string[];
  running: string[];
}

const MAX_FAILURE_CHARS = 400;

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

function causeOf(event: TestEvent): unknown {
  const error = event.data.details?.error;
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

const titleOf = (event: TestEvent): string => `${fileOf(event)}: ${event.data.name}`;

function failureText(event: TestEvent, stillOpen: string): string {
  return `\n✖ ${titleOf(event)}\n${inspect(causeOf(event), { depth: 4 })}\n${stillOpen}\n`;
}

/** Title, duration, and as much of the message as tells one failure from another. */
function failureLine(event: TestEvent, stillOpen: string): string {
  const cause = causeOf(event);
  const message = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, " ");
  const seconds = ((event.data.details?.duration_ms ?? 0) / 1000).toFixed(1);
  return `${titleOf(event)} (${seconds} s): ${message.slice(0, MAX_FAILURE_CHARS)} ${stillOpen}`.trimEnd();
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

/** Tests that have begun and not ended, in the order of their beginning; a run that is killed leaves them in its file. */
class Running {
  readonly #titles: string[] = [];

  add(event: TestEvent): void {
    if (event.type === "test:dequeue") this.#titles.push(titleOf(event));
    else if (this.#titles.includes(titleOf(event))) this.#titles.splice(this.#titles.indexOf(titleOf(event)), 1);
  }

  titles(): string[] {
    return [...this.#titles];
  }
}

const isPassedTest = (event: TestEvent): boolean =>
  event.type === "test:pass" && !isSuite(event) && !event.data.skip && !event.data.todo;

const OUTPUTS = new Set(["test:stdout", "test:stderr"]);
/** Of lines of a test that are shown also without IM_TEST_VERBOSE. */
const FIGURES = /^figures: .*\n?$/gm;

/** Failed groups say no more than the tests in them, unless a hook failed. */
const isNews = (event: TestEvent): boolean =>
  event.type === "test:fail" &&
  !(isSuite(event) && /subtests? failed/.test(String(inspect(event.data.details?.error))));

/** Why files ended themselves, as they wrote it: shown with the failure of the file itself. */
class StillOpen {
  readonly #byFile = new Map<string, string>();

  read(event: TestEvent): void {
    if (event.data.message?.startsWith(STILL_OPEN)) this.#byFile.set(fileOf(event), event.data.message.trim());
  }

  of(event: TestEvent): string {
    const isFile = fileOf(event) === relative(process.cwd(), event.data.name);
    return (isFile && this.#byFile.get(fileOf(event))) || "";
  }
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const tally = new Tally();
  const running = new Running();
  const stillOpen = new StillOpen();
  const failures: string[] = [];
  const passed: string[] = [];
  const save = (): void => {
    const summary: Summary = { ...tally.total, failures, running: running.titles() };
    if (process.env.IM_TEST_COUNTS) writeFileSync(process.env.IM_TEST_COUNTS, JSON.stringify(summary));
  };
  for await (const event of events) {
    if (OUTPUTS.has(event.type)) {
      stillOpen.read(event);
      const { message = "" } = event.data;
      if (process.env.IM_TEST_VERBOSE) yield message;
      else for (const [line] of message.matchAll(FIGURES)) yield `  ${line.trimEnd()}\n`;
    } else if (event.type === "test:dequeue" || event.type === "test:complete") {
      running.add(event);
      save();
    } else if (event.type === "test:pass" || event.type === "test:fail") {
      tally.add(event);
      if (isPassedTest(event)) passed.push(titleOf(event));
      if (!isNews(event)) continue;
      failures.push(failureLine(event, stillOpen.of(event)));
      yield failureText(event, stillOpen.of(event));
    }
  }
  yield* tally.lines();
  save();
  if (process.env.IM_TEST_PASSED) writeFileSync(process.env.IM_TEST_PASSED, JSON.stringify(passed));
}
