// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { generateCrdTypes } from "./crd-types.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

const SMALL = `
spec:
  group: example.com
  names: { kind: Thing }
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          description: A thing.
          properties:
            spec:
              type: object
              required: [name]
              properties:
                name: { type: string, description: Its name. }
                size: { type: integer, default: 3 }
                mode: { type: string, enum: [Fast, Slow] }
                limits: &limits { type: object, additionalProperties: { x-kubernetes-int-or-string: true } }
                parts: { type: array, items: { type: object, properties: { ok: { type: boolean } } } }
                other: *limits
            status: { type: object, properties: { count: { type: number } } }
`;

describe("generateCrdTypes", () => {
  it("makes interfaces, optional where nothing guarantees a value", () => {
    const source = generateCrdTypes(SMALL);
    for (const line of [
      "export interface Thing extends KubeObject {",
      "  spec: ThingSpec;",
      "  status?: ThingStatus;",
      "  /** Its name. */\n  name: string;",
      "  size: number;",
      '  mode?: "Fast" | "Slow";',
      "  limits?: Record<string, number | string>;",
      "  parts?: PartSpec[];",
      "export interface PartSpec {\n  ok?: boolean;\n}",
    ]) {
      assert.ok(source.includes(line), `${line}\nis not in\n${source}`);
    }
  });

  it("is deterministic, and its result is committed", () => {
    const yaml = read("crds/imcluster.yaml");
    assert.equal(generateCrdTypes(yaml), generateCrdTypes(yaml));
    assert.equal(read("operator/api/v1alpha1.ts"), generateCrdTypes(yaml));
  });

  it("refuses what it does not know", () => {
    assert.throws(
      () => generateCrdTypes(SMALL.replace("type: boolean", "type: blob")),
      /no TypeScript type for .*ok of type blob/,
    );
    assert.throws(() => generateCrdTypes("spec: { names: {}, versions: [] }"), /needs a version/);
  });
});
