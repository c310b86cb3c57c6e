// SPDX-License-Identifier: Apache-2.0
import { describe } from "node:test";
import { MemoryStore } from "./memory.ts";
import { storeContract } from "./store.contract.ts";

describe("MemoryStore", () => {
  const store = new MemoryStore();
  storeContract(() => store);
});
