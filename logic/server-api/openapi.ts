// SPDX-License-Identifier: Apache-2.0
import type { Operation } from "./operation.ts";
import { PROBLEMS, type ProblemCode } from "./problem.ts";
import type { ArraySchema, ObjectSchema, Schema } from "./schema.ts";

/** Every operation may answer these. */
const COMMON: readonly ProblemCode[] = [
  ...(["malformed", "invalid", "unauthenticated", "forbidden", "rate_limited"] as const),
  ...(["headers_too_large", "internal", "unavailable", "busy"] as const),
];
/** And these, when it changes something. */
const OF_CHANGES: readonly ProblemCode[] = ["conflict", "in_progress", "too_large", "unsupported_media_type"];

const PROBLEM_SCHEMA = {
  type: "object",
  description: "RFC 9457. Programs read code, people detail.",
  properties: {
    type: { type: "string", format: "uri", description: "urn:imcluster:problem: and the code" },
    title: { type: "string", description: "The same for every problem of the code" },
    status: { type: "integer", description: "As of the answer" },
    code: { type: "string", enum: Object.keys(PROBLEMS), description: "Stable" },
    detail: { type: "string", description: "What to do" },
    instance: { type: "string", format: "uri", description: "Names this call in the server's logs" },
    retryAfterMs: { type: "integer", minimum: 0, description: "The same request may succeed after it" },
    currentVersion: { type: "integer", minimum: 0, description: "With stale: the version that holds" },
    errors: {
      type: "array",
      description: "What is wrong with the request, at most 40 things",
      items: {
        type: "object",
        properties: {
          path: { type: "string", description: "JSON pointer into the body, or /path, /query or /header and a name" },
          message: { type: "string", description: "What to do" },
        },
        required: ["path", "message"],
      },
    },
  },
  required: ["type", "title", "status", "code", "detail", "instance"],
} as const;

const INFO = {
  title: "ImCluster server API",
  version: "1",
  summary: "For the backends of the shop: send, notify, look, kick, revoke.",
  description: [
    "Every call carries an API key, `Authorization: Bearer imk_...`; its tenant is the only one whose data the call sees.",
    "Every POST carries an `Idempotency-Key`: the same call with the same key within a day gets the same answer (`idempotent-replayed: true`), another call with it a `conflict`.",
    "Failed calls answer with a problem (RFC 9457) whose `code` is stable; those with `retryAfterMs` may be repeated with the same Idempotency-Key.",
  ].join("\n\n"),
  license: { name: "Apache-2.0", identifier: "Apache-2.0" },
} as const;

/** The OpenAPI 3.1 document of the operations: what is served, checked and written down is one thing. */
export function openApiDocument(operations: readonly Operation[]): object {
  const schemas = new Map<string, object>([["Problem", PROBLEM_SCHEMA]]);
  const paths = new Map<string, Record<string, object>>();
  for (const operation of operations) {
    const methods = paths.get(operation.path) ?? {};
    methods[operation.method.toLowerCase()] = describe(operation, schemas);
    paths.set(operation.path, methods);
  }
  return {
    openapi: "3.1.0",
    info: INFO,
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", bearerFormat: "imk_<id>_<secret>" } },
    },
  };
}

/** As it is served and stored. */
export function openApiText(operations: readonly Operation[]): string {
  return `${JSON.stringify(openApiDocument(operations), undefined, 2)}\n`;
}

function describe(operation: Operation, schemas: Map<string, object>): object {
  const { id, summary, description, scope, bodyFields, reply } = operation;
  const content = reply.schema && { content: { "application/json": { schema: shown(reply.schema, schemas) } } };
  return {
    operationId: id,
    summary,
    description: `${description}\n\nScope: \`${scope}\`.`,
    "x-scope": scope,
    ...parametersOf(operation, schemas),
    ...(bodyFields
      ? { requestBody: { required: true, content: { "application/json": { schema: shown(bodyFields, schemas) } } } }
      : {}),
    responses: { [reply.status]: { description: reply.description, ...content }, ...problemsOf(operation) },
  };
}

function parametersOf(operation: Operation, schemas: Map<string, object>): object {
  const fields = (place: "path" | "query", { properties, required }: ObjectSchema) =>
    Object.entries(properties).map(([name, schema]) => ({
      ...{ name, in: place, required: required.includes(name), schema: shown(schema, schemas) },
      ...(schema.description ? { description: schema.description } : {}),
    }));
  const parameters: object[] = [...fields("path", operation.pathFields), ...fields("query", operation.queryFields)];
  if (operation.method !== "GET") {
    parameters.push({
      ...{ name: "Idempotency-Key", in: "header", required: true },
      description: "New for each call, and the same when it is repeated",
      schema: { type: "string", pattern: "^[A-Za-z0-9_.:-]{1,64}$", minLength: 1, maxLength: 64 },
    });
  }
  return parameters.length > 0 ? { parameters } : {};
}

function problemsOf({ method, problems }: Operation): Record<string, object> {
  const codes = [...COMMON, ...problems, ...(method === "GET" ? [] : OF_CHANGES)];
  const byStatus = Map.groupBy(new Set(codes), (code) => PROBLEMS[code].status);
  const entries = [...byStatus].map(([status, ofStatus]): [string, object] => [
    String(status),
    {
      description: ofStatus.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join(". "),
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    },
  ]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** How deep JSON may be is said in words. */
function shownMap(schema: Exclude<Schema, ArraySchema | ObjectSchema>): object {
  if (!("maxDepth" in schema)) return schema;
  const { maxDepth, description = "", ...rest } = schema;
  return { ...rest, description: `${description}. At most ${maxDepth} levels deep` };
}

/** The schema, with those that have a title kept once. */
function shown(schema: Schema, schemas: Map<string, object>): object {
  if (schema.type === "array") return { ...schema, items: shown(schema.items, schemas) };
  if (schema.type !== "object" || !("properties" in schema)) return shownMap(schema);
  const { title, properties, ...rest } = schema;
  const fields = Object.entries(properties).map(([name, field]) => [name, shown(field, schemas)]);
  const whole = { ...rest, properties: Object.fromEntries(fields) as object };
  if (title === undefined) return whole;
  schemas.set(title, whole);
  return { $ref: `#/components/schemas/${title}` };
}
