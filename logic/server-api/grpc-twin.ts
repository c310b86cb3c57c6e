// SPDX-License-Identifier: Apache-2.0
// The API over gRPC. A call becomes the request that it would be over HTTP and goes the same way: route, key, allowance, scope, schema,
// idempotency key, operation, audit. So the two cannot differ but in how they write things down.
import { randomUUID } from "node:crypto";
import {
  createPublicGrpcServer,
  type GrpcService,
  type MetadataAnswer,
  type MetadataCall,
  metadataService,
} from "#lib/grpc.ts";
import { GrpcStatus } from "#lib/grpc-status.ts";
import type { TlsFiles } from "#lib/tls-files.ts";
import { apiServiceDefinition } from "#proto/load.ts";
import { type ApiDesk, type ApiRequest, type ApiResponse, MAX_BODY_BYTES } from "./api-desk.ts";
import { readCertificate } from "./client-certificate.ts";
import type { Operation } from "./operation.ts";
import type { ProblemCode } from "./problem.ts";
import { methodName, requestSchema } from "./proto-text.ts";
import { fromProto, type ProtoValue, toProto } from "./proto-values.ts";

const MAX_CALLS = 100;
const MAX_CONNECTIONS = 1000;
const GRACE_MS = 5000;
/** Trailers have little room: the first few faults say enough. */
const MAX_SHOWN_FAULTS = 5;

/** What a problem is to a gRPC client that knows only statuses. */
const STATUS: Readonly<Record<ProblemCode, number>> = {
  malformed: GrpcStatus.INVALID_ARGUMENT,
  invalid: GrpcStatus.INVALID_ARGUMENT,
  unauthenticated: GrpcStatus.UNAUTHENTICATED,
  forbidden: GrpcStatus.PERMISSION_DENIED,
  not_allowed: GrpcStatus.PERMISSION_DENIED,
  not_found: GrpcStatus.NOT_FOUND,
  method_not_allowed: GrpcStatus.UNIMPLEMENTED,
  conflict: GrpcStatus.FAILED_PRECONDITION,
  in_progress: GrpcStatus.ABORTED,
  stale: GrpcStatus.FAILED_PRECONDITION,
  inverted_window: GrpcStatus.INVALID_ARGUMENT,
  unknown_segment: GrpcStatus.INVALID_ARGUMENT,
  empty_audience: GrpcStatus.INVALID_ARGUMENT,
  no_list: GrpcStatus.FAILED_PRECONDITION,
  broadcast_over: GrpcStatus.FAILED_PRECONDITION,
  too_many_users: GrpcStatus.RESOURCE_EXHAUSTED,
  too_many_portions: GrpcStatus.RESOURCE_EXHAUSTED,
  too_many_broadcasts: GrpcStatus.RESOURCE_EXHAUSTED,
  too_many_conversations: GrpcStatus.RESOURCE_EXHAUSTED,
  too_large: GrpcStatus.INVALID_ARGUMENT,
  unsupported_media_type: GrpcStatus.INVALID_ARGUMENT,
  rate_limited: GrpcStatus.RESOURCE_EXHAUSTED,
  headers_too_large: GrpcStatus.INVALID_ARGUMENT,
  internal: GrpcStatus.INTERNAL,
  unavailable: GrpcStatus.UNAVAILABLE,
  busy: GrpcStatus.UNAVAILABLE,
};

/** The service of a desk. */
export function grpcTwin(operations: readonly Operation[], desk: Pick<ApiDesk, "handle">): GrpcService {
  const byMethod = new Map(operations.map((operation) => [methodName(operation.id), operation]));
  return metadataService(apiServiceDefinition(), async (method, call) => {
    const operation = byMethod.get(method);
    if (!operation) return failed(GrpcStatus.UNIMPLEMENTED, "no such operation", {});
    return answerOf(operation, await desk.handle(requestOf(operation, call)));
  });
}

/** Options of {@link startGrpcTwin}. */
export interface GrpcTwinOptions {
  /** 0 = any free port. */
  readonly port: number;
  readonly operations: readonly Operation[];
  readonly desk: Pick<ApiDesk, "handle">;
  /** As of the HTTP listener. */
  readonly tls: TlsFiles | undefined;
}

export interface GrpcTwinListener {
  readonly port: number;
  /** New connections see the new certificate. */
  setTls(files: TlsFiles): void;
  /** Takes no more calls; resolves when those in hand are answered, or after 5 s. */
  close(): Promise<void>;
}

/** Serves the twin on a port of its own. */
export async function startGrpcTwin({ port, operations, desk, tls }: GrpcTwinOptions): Promise<GrpcTwinListener> {
  const limits = { maxRequestBytes: MAX_BODY_BYTES, maxCalls: MAX_CALLS, maxConnections: MAX_CONNECTIONS };
  const server = createPublicGrpcServer({ tls, ...limits });
  server.addService(grpcTwin(operations, desk));
  return {
    port: await server.bind("::", port).catch(() => server.bind("0.0.0.0", port)),
    setTls: (files) => server.setTls(files),
    close: () => server.close(GRACE_MS),
  };
}

/** As the call would come over HTTP. */
function requestOf(operation: Operation, { request, header, certificate }: MetadataCall): ApiRequest {
  const { pathFields, queryFields, bodyFields } = operation;
  const values = fromProto(requestSchema(operation), request as ProtoValue);
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(textOf(values[name])));
  const query = new URLSearchParams();
  for (const name of Object.keys(queryFields.properties))
    for (const value of [values[name] ?? []].flat()) query.append(name, String(value));
  const isBody = (name: string): boolean => !(name in pathFields.properties) && !(name in queryFields.properties);
  const body = Object.fromEntries(Object.entries(values).filter(([name]) => isBody(name)));
  return {
    ...{ id: randomUUID(), method: operation.method, path, query },
    ...{ authorization: header("authorization"), certificate: readCertificate(certificate()) },
    idempotencyKey: header("idempotency-key"),
    contentType: bodyFields ? "application/json" : undefined,
    traceparent: header("traceparent"),
    readBody: async () => Buffer.from(JSON.stringify(body)),
  };
}

function answerOf({ reply }: Operation, { status, headers, body }: ApiResponse): MetadataAnswer {
  if (status >= 400) return failureOf(body);
  const trailers: Record<string, string> = headers["idempotent-replayed"] ? { "idempotent-replayed": "true" } : {};
  const { schema } = reply;
  const value = body === "" ? {} : (JSON.parse(body) as ProtoValue);
  const message = schema && "properties" in schema ? toProto(schema, value) : {};
  return { kind: "reply", reply: message, trailers };
}

function failureOf(body: string): MetadataAnswer {
  const { errors, ...problem } = JSON.parse(body) as { code: ProblemCode; detail: string; errors?: readonly object[] };
  const shown = errors ? { ...problem, errors: errors.slice(0, MAX_SHOWN_FAULTS) } : problem;
  return failed(STATUS[problem.code], `${problem.code}: ${problem.detail}`, {
    "im-code": problem.code,
    "im-problem-bin": Buffer.from(JSON.stringify(shown)),
  });
}

function failed(status: number, details: string, trailers: Record<string, string | Buffer>): MetadataAnswer {
  return { kind: "failed", status, details, trailers };
}

/** A lone surrogate has no percent encoding: it becomes a sign that no id has. */
function textOf(value: unknown): string {
  return String(value ?? "").toWellFormed();
}
