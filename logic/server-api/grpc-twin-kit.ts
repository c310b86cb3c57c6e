// SPDX-License-Identifier: Apache-2.0
// For tests: calls the server API over gRPC.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { apiServiceDefinition } from "#proto/load.ts";
import type { ExampleCall } from "./example-calls.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations/index.ts";
import { requestSchema } from "./proto-text.ts";
import { type ProtoValue, toProto } from "./proto-values.ts";
import { RouteTable } from "./route-table.ts";

const DEADLINE_MS = 20_000;
/** The methods that the .proto file has. */
export const definition = apiServiceDefinition();
const routes = new RouteTable(OPERATIONS);

/** What a call over gRPC was answered. */
export interface GrpcAnswer {
  /** See GrpcStatus. */
  status: number;
  details: string;
  problem: Record<string, unknown> | undefined;
  reply: ProtoValue | undefined;
  isReplay: boolean;
}

/** Who calls. */
export interface GrpcCaller {
  key?: string | undefined;
  idempotencyKey?: string | undefined;
  deadlineMs?: number;
  traceparent?: string;
}

/** A backend that calls the server API over gRPC. */
export class TwinClient {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  close(): void {
    this.#client.close();
  }

  call(
    method: string,
    request: object,
    { key, idempotencyKey = randomUUID(), deadlineMs = DEADLINE_MS, traceparent }: GrpcCaller,
  ): Promise<GrpcAnswer> {
    const found = definition[method];
    assert.ok(found, method);
    const metadata = new Metadata();
    if (key !== undefined) metadata.set("authorization", `Bearer ${key}`);
    metadata.set("idempotency-key", idempotencyKey);
    if (traceparent !== undefined) metadata.set("traceparent", traceparent);
    return new Promise((resolve) => {
      let isReplay = false;
      let settle = (_: GrpcAnswer): void => undefined;
      const answered = new Promise<GrpcAnswer>((done) => {
        settle = done;
      });
      const asked = this.#client.makeUnaryRequest(
        ...([found.path, found.requestSerialize, found.responseDeserialize, request, metadata] as const),
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, reply?: unknown) => {
          const [problem] = error?.metadata?.get("im-problem-bin") ?? [];
          settle({
            ...{ status: error?.code ?? 0, details: error?.details ?? "", isReplay },
            problem: problem === undefined ? undefined : (JSON.parse(problem.toString()) as Record<string, unknown>),
            reply: error ? undefined : (reply as ProtoValue),
          });
        },
      );
      asked.on("status", ({ metadata: trailers }) => {
        isReplay = trailers.get("idempotent-replayed").length > 0;
        void answered.then((answer) => resolve({ ...answer, isReplay }));
      });
    });
  }
}

/** The message for a call as it is made over HTTP. */
export function messageOf(operation: Operation, call: ExampleCall): object {
  const url = new URL(call.path, "http://api");
  const found = routes.match(call.method, url.pathname);
  assert.ok(found.kind === "found" && found.operation === operation);
  const schema = requestSchema(operation);
  const query = Object.entries(operation.queryFields.properties).flatMap(([name, field]): [string, unknown][] => {
    const values = url.searchParams.getAll(name);
    if (values.length === 0) return [];
    if (field.type === "array") return [[name, values]];
    return [[name, field.type === "integer" ? Number(values[0]) : values[0]]];
  });
  return toProto(schema, { ...found.path, ...(Object.fromEntries(query) as object), ...call.body });
}
