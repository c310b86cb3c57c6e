// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { migrationNames, pendingMigrations, readMigrations } from "./migration-files.ts";

const OWN = join(import.meta.dirname, "migrations");

async function inDirectory<T>(files: Record<string, string>, run: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "im-migration-files-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    return await run(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

describe("migration files", () => {
  it("are taken in the order of their numbers", () =>
    assert.deepEqual(migrationNames(["0010_c.sql", "0002_b.sql", "0001_a.sql"]), ["0001_a", "0002_b", "0010_c"]));

  for (const file of ["initial.sql", "1_initial.sql", "0001_Initial.sql", "0001_initial.sql.orig", "0001_initial.js"])
    it(`are not such as ${file}`, () =>
      assert.throws(() => migrationNames(["0000_x.sql", file]), { message: new RegExp(`${file} is no migration`) }));

  it("have a number each", () =>
    assert.throws(() => migrationNames(["0001_b.sql", "0001_a.sql"]), { message: /0001_b\.sql has the number/ }));

  it("of this version are whole, and each is read", async () => {
    const migrations = await readMigrations(OWN);
    assert.equal(migrations[0]?.name, "0001_initial");
    for (const { name, sql } of migrations) assert.ok(sql.includes("-- Up Migration"), name);
  });

  it("only go up", () =>
    inDirectory({ "0001_a.sql": "CREATE TABLE a ();\n-- Down Migration\nDROP TABLE a;\n" }, (dir) =>
      assert.rejects(readMigrations(dir), { message: /0001_a has a way down/ }),
    ));

  it("are missed when there are none; an editor's are not looked at", () =>
    inDirectory({ ".0001_a.sql.swp": "" }, (dir) =>
      assert.rejects(readMigrations(dir), { message: /no migrations in/ }),
    ));
});

describe("pending migrations", () => {
  it("are those that were not applied, in order, whatever else the database knows", () => {
    const numbers = fc.uniqueArray(fc.nat({ max: 40 }));
    fc.assert(
      fc.property(numbers, numbers, (ours, theirs) => {
        const migrations = ours.toSorted((a, b) => a - b).map((n) => ({ name: String(n), sql: "" }));
        const pending = pendingMigrations(migrations, theirs.map(String)).map(({ name }) => Number(name));
        const missing = ours.filter((n) => !theirs.includes(n)).sort((a, b) => a - b);
        assert.deepEqual(pending, missing);
      }),
    );
  });
});
