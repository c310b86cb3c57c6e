// SPDX-License-Identifier: Apache-2.0
// The server reads the arrays back as they were.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { sharedPostgres } from "../../e2e/harness/postgres.ts";
import { bigintArray, byteaArray, intArray, parseNumbers, textArray, uuidArray } from "./binary-array.ts";
import { PostgresPool } from "./postgres-pool.ts";

describe("binary arrays", () => {
  let pool: PostgresPool;
  before(async () => {
    const { url } = await sharedPostgres();
    pool = new PostgresPool({ url, name: "arrays", connections: 1, maxWaiting: 1, waitTimeoutMs: 2000 });
  });
  after(() => pool.close());

  const echo = async (type: string, array: Buffer): Promise<string | null | undefined> => {
    const rows = await pool.run({ name: `echo_${type}`, text: `SELECT array_to_json($1::${type}[])` }, [array]);
    return rows[0]?.[0];
  };
  const several = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
    fc.array(arbitrary, { minLength: 1, maxLength: 20 });

  it("text with NULLs", async () => {
    const texts = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    await fc.assert(
      fc.asyncProperty(several(fc.option(texts, { nil: undefined })), async (values) => {
        const echoed = JSON.parse((await echo("text", textArray(values))) ?? "");
        assert.deepEqual(
          echoed,
          values.map((value) => value ?? null),
        );
      }),
    );
  });

  it("bytea", async () => {
    await fc.assert(
      fc.asyncProperty(several(fc.uint8Array()), async (values) => {
        const echoed = JSON.parse((await echo("bytea", byteaArray(values))) ?? "");
        assert.deepEqual(
          echoed,
          values.map((value) => `\\x${Buffer.from(value).toString("hex")}`),
        );
      }),
    );
  });

  it("uuid, and nothing else in its place", async () => {
    await fc.assert(
      fc.asyncProperty(several(fc.uuid()), async (values) => {
        assert.deepEqual(JSON.parse((await echo("uuid", uuidArray(values))) ?? ""), values);
      }),
    );
    for (const bad of ["", "0190", "0190a7f2-4e5b-7c3d-8a9b-1c2d3e4f5a6g", "0190a7f2-4e5b-7c3d-8a9b-1c2d3e4f5a6b00"]) {
      assert.throws(() => uuidArray([bad]), TypeError);
    }
  });

  it("int and bigint up to the safe integers", async () => {
    await fc.assert(
      fc.asyncProperty(several(fc.integer()), several(fc.maxSafeInteger()), async (ints, bigints) => {
        assert.deepEqual(JSON.parse((await echo("int", intArray(ints))) ?? ""), ints);
        const rows = await pool.run({ name: "bigints", text: "SELECT $1::bigint[]" }, [bigintArray(bigints)]);
        assert.deepEqual(parseNumbers(rows[0]?.[0]), bigints);
      }),
    );
    assert.deepEqual([parseNumbers(null), parseNumbers("{}")], [[], []]);
  });
});
