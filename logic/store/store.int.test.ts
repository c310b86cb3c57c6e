// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ImError } from "#lib/errors.ts";
import { newTwoRoles } from "../../e2e/harness/runtime-role.ts";
import { message, user } from "./contract/fixture.ts";
import { storeContract } from "./contract/suite.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

describe("PostgresStore", () => {
  let store: PostgresStore;
  before(async () => {
    // As in production: a role that owns nothing and may read and write rows only.
    const { runtimeUrl } = await newTwoRoles("contract");
    store = await openPostgresStore({ url: runtimeUrl, startTimeoutMs: 5000 });
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
