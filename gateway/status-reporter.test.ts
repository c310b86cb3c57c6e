// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { StatusReply } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { REPORT_INTERVAL_MS, StatusReporter } from "./status-reporter.ts";

function setUp() {
  const clock = new FakeClock();
  const told: RecordInput[] = [];
  let connections = 0;
  const report = () => StatusReply.decode(StatusReply.encode({ incarnation: "pod.1", connections: ++connections }));
  const logics = { attaches: 1, tellAll: (record: RecordInput) => void told.push(record) };
  const reporter = new StatusReporter({ report, logics, clock });
  const seen = () => told.map(({ body }) => StatusReply.decode(body ?? new Uint8Array()).connections);
  return { clock, reporter, told, seen };
}

describe("StatusReporter", () => {
  it("tells every logic how the entry is, at once and every two seconds", () => {
    const { clock, reporter, told, seen } = setUp();
    clock.advance(REPORT_INTERVAL_MS);
    assert.deepEqual(seen(), []);
    reporter.start();
    assert.deepEqual(seen(), [1]);
    clock.advance(REPORT_INTERVAL_MS - 1);
    assert.deepEqual(seen(), [1]);
    clock.advance(1);
    clock.advance(REPORT_INTERVAL_MS);
    assert.deepEqual(seen(), [1, 2, 3]);
    assert.ok(told.every(({ kind }) => kind === RecordKind.REPORT));
  });

  it("begins anew for a logic that attaches later, with one timer", () => {
    const { clock, reporter, seen } = setUp();
    for (let logic = 0; logic < 5; logic++) reporter.start();
    assert.equal(seen().length, 5);
    clock.advance(REPORT_INTERVAL_MS);
    assert.equal(seen().length, 6);
  });

  it("says nothing once it was stopped, whoever attaches", () => {
    const { clock, reporter, seen } = setUp();
    reporter.start();
    reporter.stop();
    reporter.start();
    clock.advance(10 * REPORT_INTERVAL_MS);
    assert.deepEqual(seen(), [1]);
  });
});
