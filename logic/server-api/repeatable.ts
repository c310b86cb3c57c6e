// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
import type { ApiAnswer, ServerApiStore } from "../store/server-api-store.ts";
import { canonicalJson } from "./canonical-json.ts";
import { type Refusal, refuse } from "./problem.ts";

/** Longer than any call takes: see CALL_TIMEOUT_MS. */
const LEASE_MS = 60_000;
/** How long an answer is kept. */
export const KEEP_ANSWERS_MS = 24 * 3_600_000;

/** A call that may be repeated. */
export interface RepeatableCall {
  readonly tenant: string;
  readonly idempotencyKey: string;
  /** Id of the operation, its path, and its body as parsed: what makes two calls the same. */
  readonly identity: readonly unknown[];
}

/** What {@link Repeatable} needs. */
export interface RepeatablePorts {
  store: Pick<ServerApiStore, "beginRequest" | "finishRequest" | "releaseRequest">;
  onFault: (op: string, error: unknown) => void;
}

/** An answer to send, and whether it is one of before. */
export type Repeated = { readonly kind: "answer"; readonly answer: ApiAnswer; readonly isReplay: boolean } | Refusal;

/**
 * Runs a call once for its idempotency key, and gives those who repeat it the same answer for a day. When the process dies in
 * the middle, somebody who repeats the call after a minute runs it again: operations have to bear that, and messages
 * recognise their resend by an id that is made of the key.
 */
export class Repeatable {
  readonly #ports: RepeatablePorts;

  constructor(ports: RepeatablePorts) {
    this.#ports = ports;
  }

  /**
   * @param run undefined: it failed in a way that may pass, and the next one shall run it again
   * @throws {ImError} as the store and `run` do; nothing is kept then
   */
  async once(call: RepeatableCall, run: () => Promise<{ answer: ApiAnswer; isFinal: boolean }>): Promise<Repeated> {
    const { store } = this.#ports;
    const { tenant, idempotencyKey, identity } = call;
    const digest = hash("sha256", canonicalJson(identity), "buffer");
    const begun = await store.beginRequest({
      tenant,
      idempotencyKey,
      digest,
      leaseMs: LEASE_MS,
      keepMs: KEEP_ANSWERS_MS,
    });
    switch (begun.kind) {
      case "conflict":
        return refuse("conflict", "this Idempotency-Key came with another request: use a new one");
      case "running":
        return refuse("in_progress", "a request with this Idempotency-Key is being worked on: repeat it later", {
          retryAfterMs: Math.min(begun.leftMs, 1000),
        });
      case "done":
        return { kind: "answer", answer: begun.answer, isReplay: true };
      case "begun":
        return await this.#run({ tenant, idempotencyKey, lease: begun.lease }, run);
    }
  }

  async #run(
    hold: { tenant: string; idempotencyKey: string; lease: number },
    run: () => Promise<{ answer: ApiAnswer; isFinal: boolean }>,
  ): Promise<Repeated> {
    const { store } = this.#ports;
    let isFinal = false;
    try {
      const ran = await run();
      isFinal = ran.isFinal;
      if (isFinal) await this.#quietly("api answer", store.finishRequest(hold, ran.answer));
      return { kind: "answer", answer: ran.answer, isReplay: false };
    } finally {
      if (!isFinal) await this.#quietly("api release", store.releaseRequest(hold));
    }
  }

  /** It happened, whatever becomes of the note about it: without one a repetition runs it again. */
  async #quietly(op: string, note: Promise<unknown>): Promise<void> {
    try {
      await note;
    } catch (error) {
      this.#ports.onFault(op, error);
    }
  }
}
