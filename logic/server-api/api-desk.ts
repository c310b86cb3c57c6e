// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import type { Counter, Histogram } from "#lib/metrics.ts";
import type { ApiAnswer, StoredApiKey } from "../store/server-api-store.ts";
import type { AuditLog } from "./audit-log.ts";
import { beginCallTrace, withinSpan } from "./call-trace.ts";
import type { ClientCertificate } from "./client-certificate.ts";
import type { KeyRing } from "./key-ring.ts";
import type { ApiPorts, Call, Operation, Outcome } from "./operation.ts";
import { mayPass, PROBLEMS, problemBody, type Refusal, refusalOf, refuse } from "./problem.ts";
import { readQuery } from "./query-fields.ts";
import type { RateLimits } from "./rate-limits.ts";
import type { Repeatable } from "./repeatable.ts";
import type { RouteTable } from "./route-table.ts";
import { type Fault, faultsOf } from "./validate.ts";

/** Calls in hand; one more is refused before it costs SQL. */
const MAX_RUNNING = 64;
const BUSY_RETRY_MS = 1000;
/** The longest call: every step has a deadline of its own, and their sum one more. */
export const CALL_TIMEOUT_MS = 20_000;
/** 64 KiB of content in base64, with room for what JSON escapes. */
export const MAX_BODY_BYTES = 512 * 1024;
const IDEMPOTENCY_KEY = /^[A-Za-z0-9_.:-]{1,64}$/;

/** A request without its connection. */
export interface ApiRequest {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  /** Shown by the caller, and verified. */
  readonly certificate?: ClientCertificate | undefined;
  readonly idempotencyKey: string | undefined;
  readonly contentType: string | undefined;
  /** As W3C Trace Context has it; whatever else it may be is passed over. */
  readonly traceparent?: string | undefined;
  /** The whole body, or why there is none; at most once. */
  readonly readBody: (maxBytes: number) => Promise<Uint8Array | Refusal>;
}

/** What is answered. */
export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** "" = none. */
  readonly body: string;
}

export interface ApiMetrics {
  readonly calls: Counter<"operation" | "status" | "tenant">;
  readonly seconds: Histogram<"operation">;
  readonly auditLost: Counter;
}

/** What {@link ApiDesk} needs. */
export interface ApiDeskPorts {
  routes: RouteTable;
  keys: KeyRing;
  rates: RateLimits;
  repeatable: Repeatable;
  audit: AuditLog;
  api: ApiPorts;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
  metrics: ApiMetrics;
}

interface Known {
  operation: Operation;
  key: StoredApiKey;
  target: string;
}

/** Every call in the same order: route, key, allowance, scope, body, schema, idempotency key, operation, audit, answer. */
export class ApiDesk {
  readonly #ports: ApiDeskPorts;
  #running = 0;

  constructor(ports: ApiDeskPorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#running === 0 && this.#ports.audit.isIdle;
  }

  /** Never rejects. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    const { clock, metrics, onFault } = this.#ports;
    const startedMs = clock.nowMs();
    const known: Partial<Known> = {};
    let response: ApiResponse;
    if (this.#running >= MAX_RUNNING) {
      const detail = "too many calls at once: repeat it later";
      response = refused(refuse("busy", detail, { retryAfterMs: BUSY_RETRY_MS }), request.id);
    } else {
      this.#running++;
      try {
        response = await this.#inTime(this.#answer(request, known));
      } catch (thrown) {
        const error = toImError(thrown);
        const refusal = refusalOf(error);
        response = refused(refusal, request.id);
        // The id is not in the name: there are few names, and each is logged once in a while.
        if (response.status >= 500)
          onFault(
            `api ${known.operation?.id ?? "call"}`,
            new ImError(error.code, `${request.id}: ${error.message}`, { cause: thrown }),
          );
      } finally {
        this.#running--;
      }
    }
    const operation = known.operation?.id ?? "none";
    await this.#writeDown(known, response.status);
    metrics.calls.inc({ operation, status: String(response.status), tenant: known.key?.tenant ?? "" });
    metrics.seconds.observe({ operation }, (clock.nowMs() - startedMs) / 1000);
    return response;
  }

  /** What goes on behind it then still ends by its own deadlines. */
  #inTime(answer: Promise<ApiResponse>): Promise<ApiResponse> {
    return new Promise((resolve, reject) => {
      const cancel = this.#ports.clock.after(CALL_TIMEOUT_MS, () => reject(timeoutError()));
      void answer.then(resolve, reject).finally(cancel);
    });
  }

  /** Most reads are not held up by it; what changes something or hands out much is answered when it is written down. */
  async #writeDown({ operation, key, target = "" }: Partial<Known>, status: number): Promise<void> {
    if (!operation || !key) return;
    const row = { tenant: key.tenant, keyId: key.keyId, operation: operation.id, target, status };
    const written = this.#ports.audit.add(row);
    if (operation.method !== "GET" || operation.isWrittenFirst) await written;
  }

  async #answer(request: ApiRequest, known: Partial<Known>): Promise<ApiResponse> {
    const { routes, keys, rates } = this.#ports;
    const route = routes.match(request.method, request.path);
    if (route.kind === "none") return refused(refuse("not_found", "no such path: see /openapi.json"), request.id);
    if (route.kind === "malformed")
      return refused(refuse("malformed", "the path is not percent-encoded UTF-8"), request.id);
    if (route.kind === "method") {
      const allow = route.allow.join(", ");
      return refused(refuse("method_not_allowed", `this path takes ${allow}`), request.id, { allow });
    }
    const { operation } = route;
    known.operation = operation;
    const verdict = await keys.check(request.authorization, request.certificate);
    if (verdict.kind === "busy")
      return refused(refuse("busy", "too many unknown API keys: repeat it later", verdict), request.id);
    if (verdict.kind === "refused")
      return refused(verdict.by ? NO_BOUND_KEY : NO_KEY, request.id, { "www-authenticate": "Bearer" });
    const { key } = verdict;
    const retryAfterMs = rates.take(key.keyId);
    if (retryAfterMs > 0)
      return refused(refuse("rate_limited", "this API key calls too often: slow down", { retryAfterMs }), request.id);
    // From here on it is written down: what was refused before costs no SQL.
    known.key = key;
    if (!key.scopes.includes(operation.scope))
      return refused(refuse("forbidden", `this call needs the scope ${operation.scope}`), request.id);
    const call = await readCall(operation, request, route.path);
    if (call.kind === "refused") return refused(call, request.id);
    const whole = { ...call.call, tenant: key.tenant };
    known.target = operation.target(whole);
    return await this.#run(operation, whole, request);
  }

  async #run(
    operation: Operation,
    call: Call<unknown, unknown, unknown>,
    { id, traceparent }: ApiRequest,
  ): Promise<ApiResponse> {
    const { repeatable, api } = this.#ports;
    if (operation.method === "GET") return responseOf(operation, await operation.run(call, api), id);
    const { tenant, idempotencyKey, path, body } = call;
    let failed: Refusal | undefined;
    const repeated = await repeatable.once(
      { tenant, idempotencyKey, identity: [operation.id, path, body] },
      async () => {
        // Begun here: a repetition, which does nothing, is in no trace.
        const span = beginCallTrace(api.tracer, operation, traceparent);
        const outcome = await withinSpan(span, () => operation.run(span ? { ...call, span } : call, api));
        if (outcome.kind === "refused") failed = outcome;
        const isFinal = outcome.kind === "ok" || !mayPass(outcome);
        return { answer: answerOf(responseOf(operation, outcome, id)), isFinal };
      },
    );
    if (repeated.kind === "refused") return refused(repeated, id);
    if (failed && !repeated.isReplay) return refused(failed, id);
    return stored(repeated.answer, repeated.isReplay);
  }
}

const NO_KEY = refuse(
  "unauthenticated",
  "send `Authorization: Bearer imk_...` with a key that is known, not expired and not revoked",
);

const NO_BOUND_KEY = refuse(
  "unauthenticated",
  "the client certificate stands for no key that is known, not expired and not revoked: bind it in the file of API keys, or send `Authorization: Bearer imk_...`",
);

function timeoutError(): ImError {
  return new ImError(ErrorCode.RETRYABLE, "the call took too long");
}

type ReadCall = { kind: "call"; call: Omit<Call<unknown, unknown, unknown>, "tenant"> } | Refusal;

/** The call as its operation wants it, or what is wrong with it. */
async function readCall(
  operation: Operation,
  request: ApiRequest,
  path: Readonly<Record<string, string>>,
): Promise<ReadCall> {
  const query = readQuery(operation.queryFields, request.query);
  const faults: Fault[] = [
    ...faultsOf(operation.pathFields, path, "/path"),
    ...faultsOf(operation.queryFields, query, "/query"),
  ];
  const { idempotencyKey = "" } = request;
  if (operation.method !== "GET" && !IDEMPOTENCY_KEY.test(idempotencyKey))
    faults.push({
      path: "/header/Idempotency-Key",
      message: "must be 1 to 64 letters, digits and _.:- that are new for each call, and the same when it is repeated",
    });
  let body: unknown = {};
  if (operation.bodyFields) {
    const read = await readJson(request);
    if (read.kind === "refused") return read;
    body = read.value;
    faults.push(...faultsOf(operation.bodyFields, body));
  }
  if (faults.length > 0) return refuse("invalid", `${faults[0]?.path} ${faults[0]?.message}`, { faults });
  return { kind: "call", call: { path, query, body, idempotencyKey } };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

async function readJson(request: ApiRequest): Promise<{ kind: "json"; value: unknown } | Refusal> {
  const [type = ""] = (request.contentType ?? "").split(";", 1);
  if (type.trim().toLowerCase() !== "application/json")
    return refuse("unsupported_media_type", "send the body as application/json");
  const bytes = await request.readBody(MAX_BODY_BYTES);
  if ("kind" in bytes) return bytes;
  try {
    return { kind: "json", value: JSON.parse(utf8.decode(bytes)) as unknown };
  } catch {
    // The parser's message quotes the body, which may be private.
    return refuse("malformed", "the body is not JSON in UTF-8");
  }
}

function responseOf(operation: Operation, outcome: Outcome, requestId: string): ApiResponse {
  if (outcome.kind === "refused") return refused(outcome, requestId);
  const { status } = operation.reply;
  if (!outcome.body) return { status, headers: {}, body: "" };
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(outcome.body) };
}

function refused(refusal: Refusal, requestId: string, headers: Record<string, string> = {}): ApiResponse {
  const { retryAfterMs } = refusal;
  const later: Record<string, string> = {};
  if (retryAfterMs !== undefined) later["retry-after"] = String(Math.ceil(retryAfterMs / 1000));
  return {
    status: PROBLEMS[refusal.code].status,
    headers: { "content-type": "application/problem+json", ...later, ...headers },
    body: JSON.stringify(problemBody(refusal, requestId)),
  };
}

const answerOf = ({ status, body }: ApiResponse): ApiAnswer => ({ status, body });

function stored({ status, body }: ApiAnswer, isReplay: boolean): ApiResponse {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  return {
    ...{ status, body },
    headers: {
      ...(body === "" ? {} : { "content-type": type }),
      ...(isReplay ? { "idempotent-replayed": "true" } : {}),
    },
  };
}
