// SPDX-License-Identifier: Apache-2.0
// The sample manifests name only fields the CRD has, with values of the right type.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parse } from "yaml";

interface Schema {
  type?: string;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
  "x-kubernetes-validations"?: { rule: string }[];
}
interface Crd {
  spec: { versions: { name: string; schema: { openAPIV3Schema: Schema } }[] };
}

const read = (path: string): unknown => parse(readFileSync(new URL(path, import.meta.url), "utf8"), { merge: true });
const [version] = (read("../../crds/imcluster.yaml") as Crd).spec.versions;

/** Every way in which `value` does not fit `schema`, as paths. */
function misfits(value: unknown, schema: Schema | undefined, path: string): string[] {
  if (schema === undefined) return [`${path}: the CRD has no such field`];
  const type = Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (schema.type !== undefined && schema.type !== type) return [`${path}: ${type} instead of ${schema.type}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${path}: not one of ${schema.enum.join()}`];
  if (Array.isArray(value)) return value.flatMap((item, i) => misfits(item, schema.items, `${path}[${i}]`));
  if (typeof value !== "object" || value === null) return [];
  const missing = (schema.required ?? []).filter((name) => !(name in value)).map((name) => `${path}.${name}: missing`);
  const fields = Object.entries(value).flatMap(([name, field]) =>
    misfits(field, schema.properties?.[name] ?? schema.additionalProperties, `${path}.${name}`),
  );
  return [...missing, ...fields];
}

describe("sample manifests", () => {
  const files = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".yaml"));
  it("are there", () => assert.deepEqual(files.sort(), ["minimal.yaml", "production.yaml"]));
  for (const file of files) {
    it(`${file} fits the CRD`, () => {
      const { apiVersion, kind, metadata, spec } = read(file) as Record<string, unknown>;
      assert.deepEqual([apiVersion, kind], [`imcluster.io/${version?.name}`, "ImCluster"]);
      assert.match((metadata as { name: string }).name, /^[a-z]([-a-z0-9]*[a-z0-9])?$/);
      assert.deepEqual(misfits(spec, version?.schema.openAPIV3Schema.properties?.spec, "spec"), []);
    });
  }
  it("the check itself notices an unknown field, a wrong type and a missing field", () => {
    const spec = { entry: { replica: 3, demo: "yes" }, extlogic: { webhook: {} } };
    assert.deepEqual(misfits(spec, version?.schema.openAPIV3Schema.properties?.spec, "spec"), [
      "spec.entry.replica: the CRD has no such field",
      "spec.entry.demo: string instead of boolean",
      "spec.extlogic.webhook.url: missing",
    ]);
  });
});
