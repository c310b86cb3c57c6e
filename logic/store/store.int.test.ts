// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ImError } from "#lib/errors.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { message, user } from "./contract/fixture.ts";
import { storeContract } from "./contract/suite.ts";
import type { PostgresStore } from "./postgres-store.ts";

describe("PostgresStore", () => {
  let store: PostgresStore;
  before(async () => {
    ({ store } = await newStore("contract"));
  });
  after(() => store.close());
  storeContract(() => store);

  it("says what it cannot take, as an error that is not worth a retry", async () => {
    const input = message({ sender: user(), peer: user() });
    for (const bad of [
      { ...input, clientMessageId: "a\0b" },
      { ...input, messageId: "not a uuid" },
    ]) {
      await assert.rejects(store.append([bad]), (error) => error instanceof ImError && !error.retryable);
    }
  });
});
