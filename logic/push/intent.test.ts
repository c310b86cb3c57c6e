// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PushIntent } from "../deliver/offline.ts";
import { intentFields, parseIntent } from "./intent.ts";

const trace = { traceId: "a".repeat(32), spanId: "b".repeat(16) };
const PLAIN: PushIntent = { userId: "bob", inboxSeq: 7, cause: "offline" };

describe("a push intent", () => {
  it("is the same after it was written and read, traced or not", () => {
    const all: PushIntent[] = [
      PLAIN,
      { ...PLAIN, trace },
      { ...PLAIN, cause: "timeout", fromSeq: 3, slot: "web", trace },
    ];
    for (const intent of all) {
      const fields = intentFields(intent).map(String);
      assert.deepEqual(parseIntent("1-0", fields), { ...intent, id: "1-0" });
    }
    assert.ok(!intentFields(PLAIN).includes("t"));
  });

  it("is read by whoever knows fewer fields, or finds one that is malformed", () => {
    const fields = [...intentFields({ ...PLAIN, trace }).map(String), "z", "of a newer version"];
    assert.deepEqual(parseIntent("1-0", fields), { ...PLAIN, trace, id: "1-0" });
    assert.deepEqual(parseIntent("1-0", ["u", "bob", "s", "7", "c", "offline", "t", "00-zz"]), { ...PLAIN, id: "1-0" });
  });
});
