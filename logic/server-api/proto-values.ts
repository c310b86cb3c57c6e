// SPDX-License-Identifier: Apache-2.0
import { protoName } from "./proto-text.ts";
import type { ObjectSchema, Schema } from "./schema.ts";

/** A message as the gRPC codec gives and takes it: names in camelCase, repeated fields and maps always there. */
export type ProtoValue = Readonly<Record<string, unknown>>;

/** The field's name in code: JSON of any form has another one. */
function codeName(name: string, schema: Schema): string {
  return protoName(name, schema).replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * What the schema describes, of a message: ready to be checked like a body of JSON. What may be left out and is empty is left out;
 * text that is no JSON stays text, and the check says so.
 */
export function fromProto(schema: ObjectSchema, message: ProtoValue): Record<string, unknown> {
  const fields: [string, unknown][] = [];
  for (const [name, field] of Object.entries(schema.properties)) {
    const value = message[codeName(name, field)];
    const isOptional = !schema.required.includes(name);
    if (value === undefined || value === null || (isOptional && isEmpty(value))) continue;
    fields.push([name, valueFrom(field, value)]);
  }
  return Object.fromEntries(fields);
}

function valueFrom(schema: Schema, value: unknown): unknown {
  if (schema.type === "array") return Array.isArray(value) ? value.map((one) => valueFrom(schema.items, one)) : value;
  if (schema.type !== "object") return value;
  if ("maxDepth" in schema) return parsed(value);
  return "properties" in schema ? fromProto(schema, value as ProtoValue) : value;
}

/** The message for what the schema describes. */
export function toProto(schema: ObjectSchema, value: ProtoValue): Record<string, unknown> {
  const fields = Object.entries(schema.properties).flatMap(([name, field]): [string, unknown][] =>
    value[name] === undefined ? [] : [[codeName(name, field), valueTo(field, value[name])]],
  );
  return Object.fromEntries(fields);
}

function valueTo(schema: Schema, value: unknown): unknown {
  if (schema.type === "array") return Array.isArray(value) ? value.map((one) => valueTo(schema.items, one)) : value;
  if (schema.type !== "object") return value;
  if ("maxDepth" in schema) return JSON.stringify(value);
  return "properties" in schema ? toProto(schema, value as ProtoValue) : value;
}

/** A repeated field or a map without anything in it: on the wire it is the same as none. */
function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function parsed(value: unknown): unknown {
  try {
    return JSON.parse(String(value)) as unknown;
  } catch {
    return value;
  }
}
