// SPDX-License-Identifier: Apache-2.0
import { after, before, describe } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { storeContract } from "./contract/suite.ts";
import type { PostgresStore } from "./postgres-store.ts";

describe("PostgresStore", () => {
  let store: PostgresStore;
  before(async () => {
    ({ store } = await newStore("contract"));
  });
  after(() => store.close());
  storeContract(() => store);
});
