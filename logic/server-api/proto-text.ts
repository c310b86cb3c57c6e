// SPDX-License-Identifier: Apache-2.0
// The .proto file of the API's gRPC twin, from the table of operations. Field numbers are wire format: a field keeps the number that the
// file before gave it, new ones take the next, and those of fields that are gone stay reserved.
import protobuf from "protobufjs";
import type { Operation } from "./operation.ts";
import type { ObjectSchema, Schema } from "./schema.ts";

const HEAD = `// SPDX-License-Identifier: Apache-2.0
// Generated from logic/server-api/operations/ by \`make gen\`. Do not edit: but numbers are kept from here.
//
// The API for the shop's backends over gRPC: the operations of docs/openapi.json, by the same keys, scopes, limits and log.
// Metadata: authorization ("Bearer imk_..."), and idempotency-key for every call that is a POST over HTTP. A failed call has the
// problem as JSON in the trailer im-problem-bin, and its code in im-code.
syntax = "proto3";
package im.api.v1;
`;

/** Numbers that a message has given out, those of fields that are gone too. */
interface Numbers {
  readonly known: ReadonlyMap<string, number>;
  readonly gone: readonly number[];
}

interface Field {
  readonly name: string;
  readonly type: string;
  readonly comment: string;
}

/** How a field of a schema is called in the .proto: JSON of any form travels as text. */
export function protoName(name: string, schema: Schema): string {
  const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return isJson(schema) ? `${snake}_json` : snake;
}

export function isJson(schema: Schema): boolean {
  return schema.type === "object" && "maxDepth" in schema;
}

/** Path, query and body of an operation as the fields of one message. @throws {Error} two of them have one name */
export function requestSchema({ id, pathFields, queryFields, bodyFields }: Operation): ObjectSchema {
  const parts = [pathFields, queryFields, ...(bodyFields ? [bodyFields] : [])];
  const names = parts.flatMap(({ properties }) => Object.keys(properties));
  if (new Set(names).size < names.length) throw new Error(`${id}: two fields of path, query and body have one name`);
  return {
    type: "object",
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)) as ObjectSchema["properties"],
    required: parts.flatMap(({ required }) => required),
    additionalProperties: false,
  };
}

export function methodName(id: string): string {
  return `${id.slice(0, 1).toUpperCase()}${id.slice(1)}`;
}

/** The whole file. @param before the file as it is; "" = there is none */
export function protoText(operations: readonly Operation[], before: string): string {
  const writer = new ProtoWriter(before);
  const methods = operations.map((operation) => {
    const name = methodName(operation.id);
    writer.message(`${name}Request`, requestSchema(operation));
    const { schema } = operation.reply;
    const reply = schema?.type === "object" && "properties" in schema ? schema : undefined;
    const replyName = reply?.title ?? `${name}Reply`;
    writer.message(replyName, reply ?? { type: "object", properties: {}, required: [], additionalProperties: false });
    return `  // ${operation.summary}. Scope ${operation.scope}.\n  rpc ${name}(${name}Request) returns (${replyName});`;
  });
  return `${HEAD}\nservice ServerApi {\n${methods.join("\n")}\n}\n${writer.text()}`;
}

class ProtoWriter {
  readonly #before: protobuf.Namespace | undefined;
  readonly #messages = new Map<string, string>();

  constructor(before: string) {
    if (before === "") return;
    const found = protobuf.parse(before, { keepCase: true }).root.lookup("im.api.v1");
    if (found instanceof protobuf.Namespace) this.#before = found;
  }

  text(): string {
    return [...this.#messages.values()].map((text) => `\n${text}`).join("");
  }

  message(name: string, schema: ObjectSchema): void {
    if (this.#messages.has(name)) return;
    // Its place, before those that it names.
    this.#messages.set(name, "");
    const fields = Object.entries(schema.properties).map(([field, type]): Field => {
      const isOptional = !schema.required.includes(field);
      const { description = "" } = type;
      return { name: protoName(field, type), type: this.#typeOf(name, field, type, isOptional), comment: description };
    });
    this.#messages.set(name, written(name, fields, this.#numbers(name)));
  }

  #typeOf(message: string, field: string, schema: Schema, isOptional: boolean): string {
    const mark = isOptional ? "optional " : "";
    switch (schema.type) {
      case "string":
        return `${mark}string`;
      case "integer":
        return `${mark}int64`;
      case "boolean":
        return `${mark}bool`;
      case "array":
        return `repeated ${this.#typeOf(message, field, schema.items, false)}`;
      case "object":
        if ("maxDepth" in schema) return `${mark}string`;
        if ("properties" in schema) {
          const name = schema.title ?? `${message}${methodName(field)}`;
          this.message(name, schema);
          return name;
        }
        return schema.additionalProperties.type === "string" ? "map<string, string>" : "map<string, int64>";
    }
  }

  #numbers(name: string): Numbers {
    const type = this.#before?.get(name);
    if (!(type instanceof protobuf.Type)) return { known: new Map(), gone: [] };
    const reserved = (type.reserved ?? []).flatMap((one) => (typeof one === "string" ? [] : [one[0] ?? 0]));
    return { known: new Map(type.fieldsArray.map((field) => [field.name, field.id])), gone: reserved };
  }
}

function written(name: string, fields: readonly Field[], { known, gone }: Numbers): string {
  const reserved = [...known].filter(([field]) => !fields.some((one) => one.name === field)).map(([, id]) => id);
  const lost = [...new Set([...gone, ...reserved])].sort((a, b) => a - b);
  let last = Math.max(0, ...known.values(), ...lost);
  const lines = fields.map(({ name: field, type, comment }) => {
    const said = comment === "" ? "" : ` // ${comment.replaceAll(/\s+/g, " ")}`;
    return `  ${type} ${field} = ${known.get(field) ?? ++last};${said}`;
  });
  if (lost.length > 0) lines.unshift(`  reserved ${lost.join(", ")};`);
  return lines.length === 0 ? `message ${name} {}\n` : `message ${name} {\n${lines.join("\n")}\n}\n`;
}
