// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { HOLD_MS, RouterMemory } from "./router-memory.ts";

describe("RouterMemory", () => {
  it("is whole until it is lost, and again when the entries have had their time", async () => {
    const clock = new FakeClock();
    const memory = new RouterMemory({ clock, isSame: async () => true });
    await memory.requireWhole();
    memory.forgotten();
    clock.advance(HOLD_MS - 1);
    assert.equal(memory.heldMs, 1);
    await assert.rejects(memory.requireWhole(), { code: ErrorCode.RETRYABLE });
    clock.advance(1);
    assert.equal(memory.heldMs, 0);
    await memory.requireWhole();
  });

  it("is not whole when another one answers, though nobody has told it, nor while none does", async () => {
    const state = { isSame: async () => false };
    const memory = new RouterMemory({ clock: new FakeClock(), isSame: () => state.isSame() });
    await assert.rejects(memory.requireWhole(), { code: ErrorCode.RETRYABLE });
    state.isSame = () => Promise.reject(new ImError(ErrorCode.RETRYABLE, "away"));
    await assert.rejects(memory.requireWhole(), { message: "away" });
  });
});
