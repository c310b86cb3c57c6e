// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { SCOPES } from "./api-key.ts";
import { openApiText } from "./openapi.ts";
import { OPERATIONS } from "./operations/index.ts";
import { PROBLEMS } from "./problem.ts";

interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<string, { operationId: string; parameters?: { name: string; in: string }[]; "x-scope": string }>
  >;
  components: { schemas: Record<string, object> };
}

const text = openApiText(OPERATIONS);
const document = JSON.parse(text) as Document;

describe("the OpenAPI document", () => {
  it("in docs/ is the one that is served", () => {
    const stored = readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8");
    assert.ok(stored === text, "docs/openapi.json is not current: run `make gen`");
  });

  it("has every operation once, with its path parameters and its idempotency key", () => {
    assert.equal(document.openapi, "3.1.0");
    for (const { id, method, path, scope } of OPERATIONS) {
      const described = document.paths[path]?.[method.toLowerCase()];
      assert.deepEqual([described?.operationId, described?.["x-scope"]], [id, scope]);
      const names = (place: string) => described?.parameters?.filter((one) => one.in === place).map(({ name }) => name);
      assert.deepEqual(
        names("path") ?? [],
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      );
      assert.deepEqual(names("header") ?? [], method === "GET" ? [] : ["Idempotency-Key"]);
    }
    const count = Object.values(document.paths).reduce((sum, methods) => sum + Object.keys(methods).length, 0);
    assert.equal(count, OPERATIONS.length);
  });

  it("refers to nothing that is not there", () => {
    const references = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? "");
    assert.ok(references.length > OPERATIONS.length);
    for (const name of references) assert.ok(document.components.schemas[name], name);
  });

  it("names every problem code, and uses every scope", () => {
    const { properties } = document.components.schemas.Problem as { properties: { code: { enum: string[] } } };
    assert.deepEqual(properties.code.enum, Object.keys(PROBLEMS));
    assert.deepEqual([...new Set(OPERATIONS.map(({ scope }) => scope))].sort(), SCOPES.toSorted());
  });
});
