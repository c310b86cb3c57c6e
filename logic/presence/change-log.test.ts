// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { changeLogContract } from "./change-log.contract.ts";
import { MemoryChangeLog } from "./change-log-memory.ts";

changeLogContract("memory", async () => {
  const log = new MemoryChangeLog();
  return { log, flush: async () => log.flush() };
});

it("the model fails as Redis does while it is away", async () => {
  const log = new MemoryChangeLog();
  log.isDown = true;
  await assert.rejects(log.append(["a"]), { retryable: true });
  await assert.rejects(log.read(""), { retryable: true });
});
