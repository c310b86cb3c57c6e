// SPDX-License-Identifier: Apache-2.0
import type {
  ArraySchema,
  Infer,
  IntegerSchema,
  JsonSchema,
  MapSchema,
  ObjectSchema,
  Schema,
  StringSchema,
} from "./schema.ts";

/** One thing that is wrong, and what to do. */
export interface Fault {
  /** JSON pointer, such as `/items/3/name`; "" = the whole value. */
  readonly path: string;
  readonly message: string;
}

/** Enough for a person; the rest would only make the answer long. */
const MAX_FAULTS = 20;
const MAX_SHOWN_CHARS = 64;

const patterns = new Map<string, RegExp>();

/** All faults of the value, at most 20; none: it is an {@link Infer} of the schema. Its depth is the schema's, whatever the value's. */
export function faultsOf(schema: Schema, value: unknown, path = ""): Fault[] {
  const faults: Fault[] = [];
  visit(schema, value, path, faults);
  return faults;
}

/** Whether the schema lets the value pass. */
export function fits<const S extends Schema>(schema: S, value: unknown): value is Infer<S> {
  return faultsOf(schema, value).length === 0;
}

function visit(schema: Schema, value: unknown, path: string, faults: Fault[]): void {
  if (faults.length >= MAX_FAULTS) return;
  switch (schema.type) {
    case "string":
      visitString(schema, value, path, faults);
      return;
    case "integer":
      visitInteger(schema, value, path, faults);
      return;
    case "boolean":
      if (typeof value !== "boolean") faults.push({ path, message: "must be true or false" });
      return;
    case "array":
      visitArray(schema, value, path, faults);
      return;
    case "object":
      if (value === null || typeof value !== "object" || Array.isArray(value))
        faults.push({ path, message: "must be an object" });
      else if ("properties" in schema) visitObject(schema, value, path, faults);
      else if ("maxDepth" in schema) visitJson(schema, value, path, faults);
      else visitMap(schema, value, path, faults);
  }
}

function visitString(schema: StringSchema, value: unknown, path: string, faults: Fault[]): void {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  if (typeof value !== "string") faults.push({ path, message: "must be a string" });
  else if (schema.enum) {
    if (!schema.enum.includes(value)) faults.push({ path, message: `must be one of ${schema.enum.join(", ")}` });
  } else if (value.length < minLength || (value.length > maxLength && codePoints(value) > maxLength))
    faults.push({ path, message: `must have ${minLength} to ${maxLength} characters` });
  else if (pattern !== undefined && !regExpOf(pattern).test(value))
    faults.push({ path, message: `must match ${pattern}${schema.description ? `: ${schema.description}` : ""}` });
}

function visitInteger({ minimum, maximum }: IntegerSchema, value: unknown, path: string, faults: Fault[]): void {
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum)
    faults.push({ path, message: `must be an integer from ${minimum} to ${maximum}` });
}

function visitArray({ items, minItems = 0, maxItems }: ArraySchema, value: unknown, path: string, faults: Fault[]) {
  if (!Array.isArray(value)) faults.push({ path, message: "must be an array" });
  else if (value.length < minItems || value.length > maxItems)
    faults.push({ path, message: `must have ${minItems} to ${maxItems} items` });
  else for (const [at, item] of value.entries()) visit(items, item, `${path}/${at}`, faults);
}

function visitObject({ properties, required }: ObjectSchema, value: object, path: string, faults: Fault[]): void {
  for (const name of required)
    if (!Object.hasOwn(value, name)) faults.push({ path: below(path, name), message: "is required: add it" });
  for (const [name, field] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema) visit(schema, field, below(path, name), faults);
    else faults.push({ path: below(path, name), message: "is not known here: leave it out" });
    if (faults.length >= MAX_FAULTS) return;
  }
}

function visitMap(schema: MapSchema, value: object, path: string, faults: Fault[]): void {
  const fields = Object.entries(value);
  if (fields.length > schema.maxProperties) {
    faults.push({ path, message: `must have at most ${schema.maxProperties} fields` });
    return;
  }
  for (const [name, field] of fields) {
    const badName = faultsOf(schema.propertyNames, name)[0];
    if (badName) faults.push({ path: below(path, name), message: `has a name that ${badName.message}` });
    else visit(schema.additionalProperties, field, below(path, name), faults);
  }
}

/** By levels and not by calls: what is too deep must not take the stack. */
function visitJson({ maxDepth }: JsonSchema, value: object, path: string, faults: Fault[]): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= maxDepth) {
      faults.push({ path, message: `must be at most ${maxDepth} levels deep` });
      return;
    }
    const below = level.flatMap((one) => Object.values(one as object) as unknown[]);
    // JSON has no infinity, but 1e999 becomes one.
    if (below.some((one) => typeof one === "number" && !Number.isFinite(one))) {
      faults.push({ path, message: "must hold numbers of 64 bits" });
      return;
    }
    level = below.filter((one) => one !== null && typeof one === "object");
  }
}

/** RFC 6901; a name of any length is the caller's own, and is cut. */
function below(path: string, name: string): string {
  return `${path}/${name.slice(0, MAX_SHOWN_CHARS).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function regExpOf(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known) return known;
  const made = new RegExp(pattern, "u");
  patterns.set(pattern, made);
  return made;
}
