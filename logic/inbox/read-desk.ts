// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { tenantOf } from "#lib/tenant.ts";
import type { Gate } from "../gate.ts";
import type { LogicMetrics } from "../metrics.ts";
import { type Refusal, type Session, sendError } from "../session/session.ts";

/** What {@link ReadDesk} needs. */
export interface ReadDeskPorts {
  gate: Gate;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: LogicMetrics;
}

/** Kinds of reads, as in metrics. */
export type ReadKind = "sync" | "history" | "snapshot" | "contacts" | "broadcasts";

/** A read request of a client. */
export interface ReadRequest {
  session: Session;
  rid: number;
  kind: ReadKind;
}

const RETRY_BASE_MS = 200;

/** What all reads have in common: the gate before SQL, the answers to overload and to a store that is away, figures. */
export class ReadDesk {
  readonly #ports: ReadDeskPorts;

  constructor(ports: ReadDeskPorts) {
    this.#ports = ports;
  }

  /** Nobody waits for a turn: there is time for work that nobody has asked for yet. */
  get hasLeisure(): boolean {
    return this.#ports.gate.waiting === 0 && this.#ports.gate.running < LEISURE_RUNNING;
  }

  /** Decodes a body. Undefined: it was none, and that was answered. */
  parse<T>(
    request: ReadRequest,
    body: Uint8Array,
    codec: { decode(bytes: Uint8Array): T },
    name: string,
  ): T | undefined {
    try {
      return codec.decode(body);
    } catch {
      // The decoder's own message means nothing to the author of a client.
      const reason = `the body is not a ${name} message: encode it as in client.proto`;
      this.refuse(request, { code: ErrorCode.BAD_REQUEST, reason }, "invalid");
      return undefined;
    }
  }

  /** Runs `read` when it is its turn; it sends the answer itself, or returns why there is none. */
  enter(request: ReadRequest, read: () => Promise<Refusal | undefined>): void {
    this.#ports.gate.enter(
      () => this.#run(request, read),
      () => {
        const reason = "the cluster is overloaded: ask again after the delay";
        this.refuse(request, { code: ErrorCode.BUSY, reason, ...this.#later() }, "busy");
      },
      tenantOf(request.session.userId),
    );
  }

  refuse({ session, rid, kind }: ReadRequest, refusal: Refusal, result: string): void {
    this.#ports.metrics.reads.inc({ kind, result });
    sendError(session, rid, refusal);
  }

  async #run(request: ReadRequest, read: () => Promise<Refusal | undefined>): Promise<void> {
    const { kind } = request;
    const startedMs = this.#ports.clock.nowMs();
    try {
      const refusal = await read();
      if (refusal) this.refuse(request, refusal, "refused");
      else this.#ports.metrics.reads.inc({ kind, result: "ok" });
    } catch (error) {
      this.#ports.onFault(kind, error);
      const reason = "the messages could not be read: ask again after the delay";
      this.refuse(request, { code: ErrorCode.RETRYABLE, reason, ...this.#later() }, "failed");
    } finally {
      this.#ports.metrics.readSeconds.observe({ kind }, (this.#ports.clock.nowMs() - startedMs) / 1000);
    }
  }

  #later(): { retryable: true; retryAfterMs: number } {
    return { retryable: true, retryAfterMs: Math.round(RETRY_BASE_MS * (1 + this.#ports.random())) };
  }
}

const LEISURE_RUNNING = 8;
