// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { CHANGE_GROUP } from "./group-statements.ts";
import { APPENDED_FACTS } from "./hook-statements.ts";
import { PostgresHooks } from "./postgres-hooks.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import { APPEND, APPEND_MARKED, APPEND_TO_GROUPS, OUTBOX } from "./statements.ts";

const NO_POOL = {} as PostgresPool;

it("every statement that appends has a place for facts, and is the very same without a hook", () => {
  const hooks = new PostgresHooks(NO_POOL);
  for (const statement of [APPEND, APPEND_TO_GROUPS, APPEND_MARKED, CHANGE_GROUP]) {
    hooks.wantMessages(false);
    assert.equal(hooks.withFacts(statement, APPENDED_FACTS, OUTBOX), statement);
    hooks.wantMessages(true);
    const hooked = hooks.withFacts(statement, APPENDED_FACTS, OUTBOX);
    assert.notEqual(hooked.name, statement.name);
    assert.ok(hooked.text.includes(APPENDED_FACTS), statement.name);
    assert.equal(hooks.withFacts(statement, APPENDED_FACTS, OUTBOX), hooked, "made once");
  }
  assert.throws(
    () => hooks.withFacts({ name: "other", text: "SELECT 1" }, APPENDED_FACTS, OUTBOX),
    /no place for facts/,
  );
});
