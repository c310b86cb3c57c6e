// SPDX-License-Identifier: Apache-2.0
// values.schema.json of the im-cluster chart, from the CRD: Helm refuses a wrong key or value before the API server does.
import { parse } from "yaml";
import { type CelRule, celToSchema, ONLY_KEYS } from "./cel-to-schema.ts";

export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  default?: unknown;
  [key: string]: unknown;
}

const KEPT = [
  "type",
  "description",
  "enum",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "uniqueItems",
];

/** Two rules may say the same keyword: both hold. */
function withRules(schema: Schema, rules: readonly CelRule[]): Schema {
  const allOf: object[] = [];
  for (const { rule } of rules) {
    const said = celToSchema(rule) ?? {};
    const isFree = Object.keys(said).every((key) => schema[key] === undefined || key === "additionalProperties");
    if (isFree) Object.assign(schema, said);
    else allOf.push(said);
  }
  return withKeys(allOf.length === 0 ? schema : { ...schema, allOf });
}

/** A map of known keys: each has the schema that all values had. */
function withKeys({ [ONLY_KEYS]: keys, ...schema }: Schema): Schema {
  if (keys === undefined) return schema;
  const properties = Object.fromEntries((keys as string[]).map((key) => [key, schema.additionalProperties as Schema]));
  return { ...schema, properties, additionalProperties: false };
}

/** OpenAPI v3 structural schema to JSON schema draft-07, closed at every object with properties. Pure. */
export function toDraft07(schema: Schema): Schema {
  return withRules(withoutRules(schema), (schema["x-kubernetes-validations"] as CelRule[] | undefined) ?? []);
}

function withoutRules(schema: Schema): Schema {
  if (schema["x-kubernetes-int-or-string"] === true) {
    const { description } = schema;
    return { type: ["integer", "string"] as unknown as string, ...(description ? { description } : {}) };
  }
  const out: Schema = {};
  for (const key of KEPT) if (schema[key] !== undefined) out[key] = schema[key];
  if (schema.items) out.items = toDraft07(schema.items);
  if (schema.properties) {
    out.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, child]) => [name, toDraft07(child)]),
    );
    if (schema["x-kubernetes-preserve-unknown-fields"] !== true) out.additionalProperties = false;
  } else if (typeof schema.additionalProperties === "object") {
    out.additionalProperties = toDraft07(schema.additionalProperties);
  }
  if (schema.required) out.required = schema.required;
  return out;
}

// What Kubernetes takes as a label: `prefix/name` and a value of 63 characters at most.
const PART = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const KEY = `^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?${PART}$`;
/** The chart's own labels, which nobody may write a second time. */
const OWN_LABELS = "^(app[.]kubernetes[.]io/(name|instance|version|component|part-of|managed-by)|helm[.]sh/chart)$";
const LABELS: Schema = {
  type: "object",
  additionalProperties: false,
  patternProperties: { [OWN_LABELS]: false, [KEY]: { type: "string", pattern: `^(${PART})?$` } },
};
const ANNOTATIONS: Schema = {
  type: "object",
  additionalProperties: false,
  patternProperties: { [KEY]: { type: "string" } },
};

const NAME: Schema = { type: "string", maxLength: 253, pattern: "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$" };

/** Values of the pod of `helm test`: image and resources are as in `spec`, or none. */
function testSchema({ properties: { image, entry } = {} }: Schema): Schema {
  const { description: _, minLength: __, ...named } = image ?? {};
  return {
    type: "object",
    additionalProperties: false,
    properties: {
      enabled: { type: "boolean" },
      image: { ...named, ...(image?.pattern === undefined ? {} : { pattern: `^$|${String(image.pattern)}` }) },
      tokensSecretName: NAME,
      caSecretName: NAME,
      serverName: NAME,
      timeout: { type: "string", maxLength: 16, pattern: "^[1-9][0-9]*(ms|s|m)$" },
      resources: entry?.properties?.resources ?? { type: "object" },
    },
  };
}

/** The schema of `spec` as the CRD writes it. */
export function specSchema(crdYaml: string): Schema {
  const crd = parse(crdYaml) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
  const spec = crd.spec.versions[0]?.schema.openAPIV3Schema.properties?.spec;
  if (spec === undefined) throw new Error("crds/imcluster.yaml has no spec schema");
  return spec;
}

/** The generated file's text. */
export function chartSchema(crdYaml: string): string {
  const spec = toDraft07(specSchema(crdYaml));
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    type: "object",
    additionalProperties: false,
    properties: {
      global: { type: "object" },
      name: { type: "string", maxLength: 40, pattern: "^([a-z]([-a-z0-9]*[a-z0-9])?)?$" },
      labels: LABELS,
      annotations: ANNOTATIONS,
      test: testSchema(spec),
      spec,
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
