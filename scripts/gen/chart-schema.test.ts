// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { chartSchema, toDraft07 } from "./chart-schema.ts";

describe("chart schema", () => {
  it("closes every object with properties and keeps bounds", () => {
    const schema = toDraft07({
      type: "object",
      required: ["name"],
      properties: {
        name: { type: "string", maxLength: 5, default: "x" },
        tags: { type: "array", items: { type: "string" } },
      },
    });
    assert.deepEqual(schema, {
      type: "object",
      additionalProperties: false,
      required: ["name"],
      properties: { name: { type: "string", maxLength: 5 }, tags: { type: "array", items: { type: "string" } } },
    });
  });

  it("leaves maps open and quantities to the API server", () => {
    assert.deepEqual(toDraft07({ type: "object", additionalProperties: { type: "string" } }), {
      type: "object",
      additionalProperties: { type: "string" },
    });
    assert.deepEqual(toDraft07({ "x-kubernetes-int-or-string": true }), { type: ["integer", "string"] });
    const free = toDraft07({ type: "object", properties: {}, "x-kubernetes-preserve-unknown-fields": true });
    assert.equal(free.additionalProperties, undefined);
  });

  it("covers the CRD's spec", () => {
    const text = chartSchema(readFileSync(new URL("../../crds/imcluster.yaml", import.meta.url), "utf8"));
    const schema = JSON.parse(text) as { properties: { spec: { properties: Record<string, unknown> } } };
    for (const key of ["entry", "logic", "extlogic", "postgres", "redis", "tls", "auth"])
      assert.ok(schema.properties.spec.properties[key], key);
  });

  it("says so when the CRD has no spec", () => {
    const crd = "spec: {versions: [{schema: {openAPIV3Schema: {properties: {}}}}]}";
    assert.throws(() => chartSchema(crd), /no spec schema/);
  });
});
