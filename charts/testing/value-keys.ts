// SPDX-License-Identifier: Apache-2.0
// Pure: which keys a values.yaml and a values.schema.json have.

/** A JSON schema, as far as keys are concerned. */
export interface KeySchema {
  type?: unknown;
  properties?: Record<string, KeySchema>;
  additionalProperties?: unknown;
  items?: KeySchema;
  definitions?: Record<string, KeySchema>;
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

/** Paths of values that hold no other keys by name: `image.tag`, `steps[].delay`. */
export function leavesOf(schema: KeySchema, path = ""): string[] {
  const below = [
    ...Object.entries(schema.properties ?? {}).map(([name, child]) => ({
      name: path === "" ? name : `.${name}`,
      child,
    })),
    ...(schema.items ? [{ name: "[]", child: schema.items }] : []),
  ];
  return below.length === 0 ? [path] : below.flatMap(({ name, child }) => leavesOf(child, `${path}${name}`));
}

/** Paths of all that is set in `value`, as {@link leavesOf} writes them. */
export function setPaths(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return [`${path}[]`, ...value.flatMap((item) => setPaths(item, `${path}[]`))];
  if (!isMap(value)) return [path];
  const below = Object.entries(value).flatMap(([name, child]) =>
    setPaths(child, path === "" ? name : `${path}.${name}`),
  );
  return [path, ...below];
}

/** What is below a schema, by path: keys, items of lists, and what `$ref`s name. */
function childrenOf({ properties = {}, definitions = {}, items }: KeySchema, path: string): [string, KeySchema][] {
  const named = [
    ...Object.entries(properties),
    ...Object.entries(definitions).map(([name, child]): [string, KeySchema] => [`#${name}`, child]),
    ...(items ? [["[]", items] satisfies [string, KeySchema]] : []),
  ];
  return named.map(([name, child]) => [path === "" ? name : `${path}.${name}`, child]);
}

/** Paths of objects with named properties to which others may be added: a misspelt key would be silently ignored there. */
export function openGroups(schema: KeySchema, path = ""): string[] {
  const isOpen = schema.properties !== undefined && schema.additionalProperties !== false;
  const below = childrenOf(schema, path).flatMap(([at, child]) => openGroups(child, at));
  return [...(isOpen ? [path === "" ? "." : path] : []), ...below];
}

/** Paths where anything at all may stand: an object without a word about its keys, a list without one about its items. */
export function freeValues(schema: KeySchema, path = ""): string[] {
  const { type } = schema;
  const isFree =
    (type === "object" && schema.additionalProperties === undefined && schema.properties === undefined) ||
    (type === "array" && schema.items === undefined);
  return [...(isFree ? [path] : []), ...childrenOf(schema, path).flatMap(([at, child]) => freeValues(child, at))];
}
