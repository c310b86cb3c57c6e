// SPDX-License-Identifier: Apache-2.0
import { after, before, describe } from "node:test";
import { silentLogger } from "#lib/logger.ts";
import { sharedPostgres } from "../../e2e/harness/postgres.ts";
import { storeContract } from "./contract/suite.ts";
import { migrate } from "./migrate.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

describe("PostgresStore", () => {
  let store: PostgresStore;
  before(async () => {
    const url = await (await sharedPostgres()).createDatabase("contract");
    await migrate({ url, log: silentLogger });
    store = await openPostgresStore({ url });
  });
  after(() => store.close());
  storeContract(() => store);
});
