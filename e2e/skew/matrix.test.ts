// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { movesSessions, planMatrix, type Row, selectRows, type Version, versionsAtStart } from "./matrix.ts";

const rows = planMatrix();
const find = (name: string): Row => {
  const row = rows.find((one) => one.name === name);
  assert.ok(row, name);
  return row;
};
const isMixed = (versions: readonly Version[]): boolean => new Set(versions).size > 1;
const isAll = (versions: readonly Version[], version: Version): boolean => versions.every((one) => one === version);

describe("the matrix of versions", () => {
  it("has every pair of roles in both directions", () => {
    const has = (what: string, condition: (row: Row) => boolean): void => assert.ok(rows.some(condition), what);
    const pairs: [Version, Version][] = [
      ["N-1", "N"],
      ["N", "N-1"],
    ];
    for (const [one, other] of pairs) {
      has(`entry ${one}, logic ${other}`, (row) => isAll(row.entries, one) && isAll(row.logics, other));
      has(`extlogic ${one}, logic ${other}`, ({ extlogics, logics }) => {
        return extlogics.length > 0 && isAll(extlogics, one) && isAll(logics, other);
      });
      has(`SDK ${one}, entries ${other}`, ({ sdks, entries }) => isAll(sdks, one) && isAll(entries, other));
      has(`operator ${one}, fleet ${other}`, ({ steps, entries, logics }) => {
        const asks = steps.some((step) => step.do === "operate" && step.as === one);
        return asks && isAll([...entries, ...logics], other);
      });
    }
    has("schema N, logic N-1", ({ schema, logics }) => schema === "N" && isAll(logics, "N-1"));
    for (const role of ["entries", "logics", "extlogics", "sdks"] as const)
      has(`${role} side by side`, (row) => isMixed(row[role]));
  });

  it("starts no logic on a schema that is older than it", () => {
    for (const { name, schema, logics, steps } of rows) {
      let isNew = schema === "N";
      assert.ok(isNew || isAll(logics, "N-1"), name);
      for (const step of steps) {
        if (step.do === "migrate") isNew = step.to === "N";
        else if (step.do === "roll" && step.to === "N") assert.ok(isNew, name);
      }
    }
  });

  it("names each row once, and only processes that the row has", () => {
    assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
    for (const row of rows) {
      const versions = versionsAtStart(row);
      for (const step of row.steps) if ("process" in step) assert.ok(versions.has(step.process), row.name);
    }
  });

  it("cuts connections in every row", () => {
    for (const { name, steps } of rows)
      assert.ok(
        steps.some((step) => step.do === "kill" && step.process.startsWith("entry-")),
        name,
      );
  });

  it("goes to N and back with every process in the row of an upgrade", () => {
    const row = find("upgrade to N, back to N-1");
    const versions = versionsAtStart(row);
    const seen = new Set<Version>();
    assert.ok(isAll([...versions.values()], "N-1"));
    for (const step of row.steps) {
      if (step.do !== "roll") continue;
      versions.set(step.process, step.to);
      versions.delete("migrate");
      if (!isMixed([...versions.values()])) seen.add([...versions.values()][0] ?? "N");
    }
    assert.deepEqual([...seen], ["N", "N-1"]);
  });

  it("has controls of one version each, through everything that other rows do", () => {
    const kinds = new Set(
      rows.flatMap(({ steps }) => steps.map((step) => step.do)).filter((kind) => kind !== "migrate"),
    );
    for (const version of ["N-1", "N"] as const) {
      const row = find(`${version} alone`);
      assert.ok(isAll([...versionsAtStart(row).values(), ...row.sdks], version));
      for (const step of row.steps) assert.equal("to" in step ? step.to : "as" in step ? step.as : version, version);
      assert.deepEqual(new Set(row.steps.map((step) => step.do)), kinds);
    }
  });

  it("asks that sessions move where a logic stops", () => {
    assert.equal(movesSessions(find("logic N-1 beside logic N")), true);
    assert.equal(movesSessions(find("entry N-1 beside entry N")), false);
  });
});

describe("the choice of rows", () => {
  it("is by parts of names, and all without one", () => {
    assert.equal(selectRows(rows, undefined).length, rows.length);
    assert.equal(selectRows(rows, "").length, rows.length);
    const names = selectRows(rows, "extlogic n, LOGIC, alone").map(({ name }) => name);
    assert.ok(names.includes("N alone") && names.includes("entry N-1, logic N"));
    assert.deepEqual(
      selectRows(rows, "Upgrade").map(({ name }) => name),
      ["upgrade to N, back to N-1"],
    );
  });

  it("says which there are when none has that name", () => {
    assert.throws(() => selectRows(rows, "gateway"), /ROW: no row has "gateway".*entry N-1, logic N;/);
  });
});
