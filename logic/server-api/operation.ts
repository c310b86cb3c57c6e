// SPDX-License-Identifier: Apache-2.0

import type { Stage, Tracer, TraceSpan } from "#lib/tracing/tracer.ts";
import type { CardDesk } from "../changes/card-desk.ts";
import type { ApiAudit } from "../store/server-api-store.ts";
import type { Store } from "../store/store.ts";
import type { Scope } from "./api-key.ts";
import type { AppendAs } from "./append-as.ts";
import type { BroadcastDesk } from "./broadcast-desk.ts";
import type { DeadLetterDesk } from "./dead-letter-desk.ts";
import type { FleetDesk } from "./fleet-desk.ts";
import type { GovernanceDesk } from "./governance-desk.ts";
import type { GroupDesk } from "./group-desk.ts";
import type { HookDesk } from "./hook-desk.ts";
import type { MuteDesk } from "./mute-desk.ts";
import type { ProblemCode, Refusal } from "./problem.ts";
import { type Infer, NO_FIELDS, type ObjectSchema, type Schema } from "./schema.ts";
import type { UserDesk } from "./user-desk.ts";

export type Method = "GET" | "POST" | "DELETE";

/** What operations are made of: everything behind the API. */
export interface ApiPorts {
  readonly append: AppendAs;
  readonly cards: Pick<CardDesk, "isOn" | "openSigned" | "messageOf" | "update">;
  readonly users: UserDesk;
  readonly groups: GroupDesk;
  readonly mutes: MuteDesk;
  readonly broadcasts: BroadcastDesk;
  readonly governance: GovernanceDesk;
  readonly deadLetters: DeadLetterDesk;
  readonly hooks: HookDesk;
  readonly store: Pick<
    Store,
    "readHistory" | "readInbox" | "traces" | "conversations" | "policy" | "exports" | "pushStore" | "blocks"
  >;
  readonly fleet: Pick<FleetDesk, "list">;
  /** Undefined: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  readonly readAudit: (tenant: string, page: { before: number; limit: number }) => Promise<ApiAudit[]>;
}

/** One call, checked: it fits the operation's schemas, and its key has the scope. */
export interface Call<P, Q, B> {
  /** Of the key: whose data this call may see. */
  readonly tenant: string;
  readonly path: P;
  readonly query: Q;
  readonly body: B;
  /** Of the header, "" for a GET; unique in its tenant for as long as answers are kept. */
  readonly idempotencyKey: string;
  /** Of a call that is traced: ended when it is answered. */
  readonly span?: TraceSpan | undefined;
}

export interface Accepted {
  readonly kind: "ok";
  readonly body?: object;
}

/** A call's answer: a body that fits the schema of {@link Operation.reply}, or why not. */
export type Outcome = Accepted | Refusal;

export function ok(body?: object): Accepted {
  return { kind: "ok", ...(body ? { body } : {}) };
}

/** One row of the API: its document, its checks and its handler. */
export interface Operation {
  /** `operationId`, and its name in metrics and the audit log. */
  readonly id: string;
  readonly method: Method;
  /** Such as `/v1/users/{userId}/devices`. */
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  readonly scope: Scope;
  readonly pathFields: ObjectSchema;
  readonly queryFields: ObjectSchema;
  /** Undefined: it takes no body. */
  readonly bodyFields: ObjectSchema | undefined;
  readonly reply: { readonly status: 200 | 201 | 202 | 204; readonly description: string; readonly schema?: Schema };
  /** A read that is answered when it is written down, as what changes something is. */
  readonly isWrittenFirst?: boolean;
  /** What a traced call of it is a stage of; undefined: it is never traced. */
  readonly traced?: Stage;
  /** Besides those that every operation may answer. */
  readonly problems: readonly ProblemCode[];
  /** Whom or what the call is about, for the audit log. Never content, never a secret. */
  readonly target: (call: Call<unknown, unknown, unknown>) => string;
  readonly run: (call: Call<unknown, unknown, unknown>, ports: ApiPorts) => Promise<Outcome>;
}

interface Given<P extends ObjectSchema, Q extends ObjectSchema, B extends ObjectSchema>
  extends Omit<Operation, "pathFields" | "queryFields" | "bodyFields" | "problems" | "target" | "run"> {
  readonly pathFields?: P;
  readonly queryFields?: Q;
  readonly bodyFields?: B;
  readonly problems?: readonly ProblemCode[];
  readonly target: (call: Call<Infer<P>, Infer<Q>, Infer<B>>) => string;
  readonly run: (call: Call<Infer<P>, Infer<Q>, Infer<B>>, ports: ApiPorts) => Promise<Outcome>;
}

/** Types the handler by its schemas. They check each call before, so that taking its parts for those types is sound. */
export function operation<
  const P extends ObjectSchema = typeof NO_FIELDS,
  const Q extends ObjectSchema = typeof NO_FIELDS,
  const B extends ObjectSchema = typeof NO_FIELDS,
>(given: Given<P, Q, B>): Operation {
  return {
    ...given,
    pathFields: given.pathFields ?? NO_FIELDS,
    queryFields: given.queryFields ?? NO_FIELDS,
    bodyFields: given.bodyFields,
    problems: given.problems ?? [],
    target: given.target as Operation["target"],
    run: given.run as Operation["run"],
  };
}
