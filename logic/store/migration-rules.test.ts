// SPDX-License-Identifier: Apache-2.0
// Logic of the version before runs on the schema of this one: during an upgrade, and after a rollback of the images.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const FOLDER = join(import.meta.dirname, "migrations");
/** Those before were made while nobody had a version before. */
const FIRST_RULED = 31;
/** Takes away or changes what is there under the same name. */
const CHANGES_WHAT_IS_THERE =
  /^\s*(CREATE OR REPLACE|DROP (TABLE|COLUMN|FUNCTION|VIEW|TYPE)|ALTER (TABLE|FUNCTION)\b.*\b(DROP|RENAME|SET NOT NULL|TYPE)\b)/i;

/** Statements without a comment right above that says what older logic gets from it ("older logic"). */
function unexplained(sql: string): string[] {
  const found: string[] = [];
  let comment = "";
  for (const line of sql.split("\n")) {
    if (line.trimStart().startsWith("--")) {
      comment += line;
      continue;
    }
    if (CHANGES_WHAT_IS_THERE.test(line) && !/older logic/i.test(comment)) found.push(line.trim());
    comment = "";
  }
  return found;
}

describe("a migration that changes what is there", () => {
  it("is seen when it says nothing of older logic", () => {
    for (const statement of [
      "CREATE OR REPLACE FUNCTION change_v1(",
      "DROP FUNCTION append_v1;",
      "ALTER TABLE message DROP COLUMN sender;",
      "ALTER TABLE message RENAME COLUMN sender TO author;",
      "ALTER TABLE message ALTER COLUMN about SET NOT NULL;",
      "ALTER FUNCTION erasure_step_v1(text) RENAME TO erasure_portion_v1;",
    ]) {
      assert.deepEqual(unexplained(`-- A comment.\n${statement}`), [statement]);
      assert.deepEqual(unexplained(`-- As older logic\n-- knows it.\n${statement}`), []);
      assert.deepEqual(
        unexplained(`-- Older logic sees no difference.\n\n${statement}`),
        [statement],
        "not right above",
      );
    }
  });

  it("is not looked for in what only adds", () => {
    const additions = [
      "CREATE FUNCTION change_v2(",
      "ALTER TABLE message ADD COLUMN more text;",
      "CREATE TABLE more (",
    ];
    assert.deepEqual(unexplained(additions.join("\n")), []);
  });

  it(`says in each migration from ${FIRST_RULED} on what older logic gets from it`, () => {
    const names = readdirSync(FOLDER).filter((name) => Number.parseInt(name, 10) >= FIRST_RULED);
    assert.ok(names.length > 0);
    for (const name of names) assert.deepEqual(unexplained(readFileSync(join(FOLDER, name), "utf8")), [], name);
  });
});
