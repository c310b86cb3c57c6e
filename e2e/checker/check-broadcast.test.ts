// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory } from "./check-history.ts";
import { isFound } from "./planted.ts";
import { BROADCASTS_PLANTED, broadcasts } from "./planted-broadcast.ts";

describe("checkBroadcast", () => {
  it("accepts a correct history, and counts it", () => {
    const { events, final } = broadcasts();
    const { violations, counts } = checkHistory(events, final);
    assert.deepEqual(violations, []);
    assert.equal(counts.broadcasts, 5);
  });

  it("judges no device that knows its place only later, nor what is over", () => {
    const { events, final } = broadcasts();
    const isLate = (uid: string) => ({ kind: "place" as const, id: "", uid, device: "late", seq: 3 });
    const base = { seed: "sample", process: "planted", op: "broadcast" as const, atMs: 300 };
    events.push({ ...base, ...isLate("user0") });
    const more = { ...final, devices: [...final.devices, { uid: "user0", device: "late" }] };
    const { violations } = checkHistory(events, more);
    assert.deepEqual(
      violations.map(({ message }) => message),
      ["broadcast planned never reached user0/late"],
    );
  });

  it("does not judge who was new where nobody recorded who was about to log in", () => {
    const { events, final } = broadcasts();
    const opened = events.filter((event) => event.op !== "session" || event.kind !== "invoke");
    assert.deepEqual(checkHistory(opened, final).violations, []);
  });

  for (const planted of BROADCASTS_PLANTED)
    it(`finds as ${planted.kind}: ${planted.name}`, () => assert.ok(isFound(planted, broadcasts)));
});
