// SPDX-License-Identifier: Apache-2.0
// The part of JSON Schema (2020-12) that the API is described with. One description serves three: it checks requests, it is
// printed into the OpenAPI document, and TypeScript reads the handlers' types from it.

interface Annotated {
  readonly description?: string;
  readonly examples?: readonly unknown[];
}

export interface StringSchema extends Annotated {
  readonly type: "string";
  /** In Unicode code points, as JSON Schema counts. */
  readonly minLength?: number;
  readonly maxLength?: number;
  /** ECMA-262, flag u. */
  readonly pattern?: string;
  readonly enum?: readonly string[];
}

export interface IntegerSchema extends Annotated {
  readonly type: "integer";
  readonly minimum: number;
  readonly maximum: number;
}

export interface BooleanSchema extends Annotated {
  readonly type: "boolean";
}

export interface ArraySchema extends Annotated {
  readonly type: "array";
  readonly items: Schema;
  readonly minItems?: number;
  readonly maxItems: number;
}

export interface ObjectSchema extends Annotated {
  readonly type: "object";
  /** Under this name the OpenAPI document keeps it, once. */
  readonly title?: string;
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
  readonly additionalProperties: false;
}

/** An object whose names are the caller's. */
export interface MapSchema extends Annotated {
  readonly type: "object";
  readonly additionalProperties: StringSchema | IntegerSchema;
  readonly propertyNames: StringSchema;
  readonly maxProperties: number;
}

/** Any JSON object, within the bounds of a body. */
export interface JsonSchema extends Annotated {
  readonly type: "object";
  readonly additionalProperties: true;
  /** Levels of objects and arrays, this one included. */
  readonly maxDepth: number;
}

export type Schema = StringSchema | IntegerSchema | BooleanSchema | ArraySchema | ObjectSchema | MapSchema | JsonSchema;

/** The TypeScript type of what a schema lets pass. */
export type Infer<S> = S extends { type: "string"; enum: readonly (infer E)[] }
  ? E
  : S extends { type: "string" }
    ? string
    : S extends { type: "integer" }
      ? number
      : S extends { type: "boolean" }
        ? boolean
        : S extends { type: "array"; items: infer I }
          ? readonly Infer<I>[]
          : S extends { type: "object"; properties: infer P; required: readonly (infer R)[] }
            ? { readonly [K in keyof P & R]: Infer<P[K]> } & { readonly [K in Exclude<keyof P, R>]?: Infer<P[K]> }
            : S extends { type: "object"; additionalProperties: true }
              ? Readonly<Record<string, unknown>>
              : S extends { type: "object"; additionalProperties: infer V }
                ? Readonly<Record<string, Infer<V>>>
                : never;

/** An object with these fields, all required but those named in `optional`. */
export function object<const P extends Readonly<Record<string, Schema>>, const O extends keyof P & string = never>(
  properties: P,
  optional: readonly O[] = [],
  title?: string,
) {
  const required = Object.keys(properties).filter(
    (name): name is Exclude<keyof P & string, O> => !(optional as readonly string[]).includes(name),
  );
  const named = title === undefined ? {} : { title };
  return { type: "object", ...named, properties, required, additionalProperties: false } as const;
}

/** Nothing at all: operations without parameters. */
export const NO_FIELDS = object({});
