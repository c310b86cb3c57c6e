// SPDX-License-Identifier: Apache-2.0
// Pure: which keys a values.yaml and a values.schema.json have.

/** A JSON schema, as far as keys are concerned. */
export interface KeySchema {
  properties?: Record<string, KeySchema>;
  additionalProperties?: unknown;
  $ref?: string;
}

type Values = Record<string, unknown>;

const isMap = (value: unknown): value is Values => typeof value === "object" && value !== null && !Array.isArray(value);

/** Paths of all keys, groups too: `image`, `image.tag`. Below a map that the schema leaves open there are none. */
export function schemaKeys(schema: KeySchema, path = ""): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const at = path === "" ? name : `${path}.${name}`;
    return [at, ...schemaKeys(child, at)];
  });
}

/** Paths of the keys of `values`, as deep as the schema names any. */
export function valueKeys(values: Values, schema: KeySchema | undefined, path = ""): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const at = path === "" ? name : `${path}.${name}`;
    const child = schema?.properties?.[name];
    return [at, ...(isMap(value) && child?.properties !== undefined ? valueKeys(value, child, at) : [])];
  });
}

/** Paths of objects with named properties to which others may be added: a misspelt key would be silently ignored there. */
export function openGroups(schema: KeySchema, path = ""): string[] {
  const isOpen = schema.properties !== undefined && schema.additionalProperties !== false;
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    openGroups(child, path === "" ? name : `${path}.${name}`),
  );
  return [...(isOpen ? [path === "" ? "." : path] : []), ...below];
}
