// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CommandHandler, joinHandlers } from "./command-handlers.ts";

const nothing: CommandHandler = () => undefined;
const something: CommandHandler = () => undefined;

describe("joinHandlers", () => {
  it("finds the handlers of every part by the number of their command", () => {
    const joined = joinHandlers([new Map([[23, nothing]]), new Map(), new Map([[48, something]])]);
    assert.deepEqual([...joined.keys()], [23, 48]);
    assert.equal(joined.get(48), something);
    assert.equal(joined.get(24), undefined);
  });

  it("refuses two handlers of one command", () => {
    assert.throws(() => joinHandlers([new Map([[23, nothing]]), new Map([[23, something]])]), /command 23/);
  });
});
