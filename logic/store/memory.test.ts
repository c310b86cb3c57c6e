// SPDX-License-Identifier: Apache-2.0
import { describe } from "node:test";
import { storeContract } from "./contract/suite.ts";
import { MemoryStore } from "./memory.ts";

describe("MemoryStore", () => {
  const store = new MemoryStore();
  storeContract(() => store);
});
