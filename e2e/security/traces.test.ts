// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinding } from "./checks.ts";
import { checksOfTraces, residentMiB, type Traces } from "./traces.ts";

const LOG = '{"level":"info","msg":"entry is listening"}\n{"level":"warn","msg":"busy"}\n';
const FINE: Traces = { name: "entry-0", pidBefore: 7, pidNow: 7, log: LOG, metrics: "im_entry_uplinks 1" };
const SECRETS = new Map([["token", ["eyJhbGciOi.canary"]]]);
const findings = (change: Partial<Traces>): string[] =>
  checksOfTraces([FINE, { ...FINE, ...change }], SECRETS)
    .filter(isFinding)
    .map(({ name }) => name);

describe("what processes leave behind", () => {
  it("is fine when they live, write no error and tell no secret", () => assert.deepEqual(findings({}), []));

  it("is red when one ended, or is another one", () => {
    assert.deepEqual(findings({ pidNow: undefined }), ["traces: every process lives"]);
    assert.deepEqual(findings({ pidNow: 8 }), ["traces: every process lives"]);
  });

  it("is red when one writes an error", () => {
    for (const line of [
      '{"level":"error","msg":"planted"}',
      '{"level":"fatal","msg":"planted"}',
      "Uncaught RangeError: planted",
      "node: unhandled 'error' event",
    ])
      assert.deepEqual(findings({ log: `${LOG}${line}\n` }), ["traces: no uncaught fault, no error in a log"], line);
  });

  it("is red when one tells a secret", () => {
    assert.deepEqual(findings({ log: `${LOG}eyJhbGciOi.canary` }), ["traces: no token in logs and metrics"]);
    assert.deepEqual(findings({ metrics: 'x{token="eyJhbGciOi.canary"} 1' }), ["traces: no token in logs and metrics"]);
  });

  it("reads the memory of a process", () => {
    const mib = residentMiB(process.pid);
    assert.ok(mib > 10 && mib < 10_000, String(mib));
  });
});
