// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { COMMAND_ROWS } from "./command-rows-kit.ts";
import { CALLERS } from "./world-kit.ts";

describe("the table of commands and callers", () => {
  it("has a row for every command, and for nothing else", () => {
    const commands = new Set<number>(Object.values(Command));
    const rows = new Set<number>(COMMAND_ROWS.map(({ command }) => command));
    const nameOf = (number: number): string =>
      Object.entries(Command).find(([, value]) => value === number)?.[0] ?? String(number);
    const missing = [...commands].filter((command) => !rows.has(command)).map(nameOf);
    assert.deepEqual(missing, [], "add rows to command-rows-kit.ts: who may use the command on whom");
    assert.equal(rows.size, commands.size);
  });

  it("says what everybody is answered, and each row once", () => {
    const names = COMMAND_ROWS.map(({ command, use }) => `${command} ${use}`);
    assert.equal(new Set(names).size, names.length);
    for (const { expect } of COMMAND_ROWS) assert.deepEqual(Object.keys(expect).sort(), CALLERS.toSorted());
  });

  it("gives nothing without a session, and hides a conversation from all who are not in it", () => {
    for (const { expect } of COMMAND_ROWS) {
      assert.equal(expect.anonymous, "unbound");
      if (expect.stranger !== "hidden") continue;
      const outsiders = [expect.exMember, expect.service, expect.otherTenant];
      assert.deepEqual(outsiders, ["hidden", "hidden", "hidden"]);
    }
  });
});
