// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AppState, Ping } from "#proto/gen/messages.ts";
import { readUints } from "./uints.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const read = (body: Uint8Array) => {
  const into = { first: 9, second: 9 };
  return { isRead: readUints(Buffer.from(body), into), ...into };
};

describe("readUints", () => {
  it("reads PING and APP_STATE as protobuf does", () => {
    fc.assert(
      fc.property(u32, u32, (answers, heldMs) => {
        const body = Ping.encode({ answers, heldMs });
        assert.deepEqual(read(body), { isRead: true, first: answers, second: heldMs });
        assert.deepEqual(read(AppState.encode({ state: answers })), { isRead: true, first: answers, second: 0 });
      }),
    );
  });

  it("an empty body is two zeros", () => {
    assert.deepEqual(read(Buffer.alloc(0)), { isRead: true, first: 0, second: 0 });
  });

  it("never throws, and leaves nothing of a body that it does not take", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const { isRead, first, second } = read(bytes);
        if (!isRead) assert.deepEqual([first, second], [0, 0]);
        assert.ok(Number.isSafeInteger(first) && Number.isSafeInteger(second));
      }),
    );
    for (const bad of ["08", "0880", "088080808080", "1a00", "08011a00", "ff01"])
      assert.deepEqual(read(Buffer.from(bad, "hex")), { isRead: false, first: 0, second: 0 }, bad);
  });
});
