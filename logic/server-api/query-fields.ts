// SPDX-License-Identifier: Apache-2.0
import type { ObjectSchema, Schema } from "./schema.ts";

const INTEGER = /^-?\d{1,16}$/;

/**
 * Query parameters in the types of their schema, as far as their text allows; what it does not stays text, for the checks to
 * complain about. Lists are parameters that come several times.
 */
export function readQuery({ properties }: ObjectSchema, query: URLSearchParams): Record<string, unknown> {
  const fields: [string, unknown][] = [];
  for (const name of new Set(query.keys())) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const values = query.getAll(name);
    if (schema?.type === "array") fields.push([name, values.map((value) => typed(schema.items, value))]);
    // Two values of one are no value: nobody shall guess which counts.
    else fields.push([name, values.length === 1 ? typed(schema, values[0] ?? "") : values]);
  }
  return Object.fromEntries(fields);
}

function typed(schema: Schema | undefined, text: string): unknown {
  if (schema?.type === "integer" && INTEGER.test(text)) return Number(text);
  if (schema?.type === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}
