// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import { tenantOf } from "#lib/tenant.ts";
import { NO_ORIGIN, type Outgoing } from "../deliver/deliver.ts";
import type { Gate } from "../gate.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import type { LogicMetrics } from "../metrics.ts";
import { CHANGE_TYPE, type ChangeOrder, type ChangeResult } from "../store/changes.ts";
import { OtherEpochError, type Store } from "../store/store.ts";

/** What {@link ChangeDesk} needs. */
export interface ChangeDeskPorts {
  store: { changes: Pick<Store["changes"], "change"> };
  epochs: Pick<EpochWatch, "current" | "markOf" | "doubt">;
  gate: Gate;
  /** Hands the committed event to its recipients. */
  deliver: (outgoing: Outgoing) => void;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "changes" | "changeSeconds">;
}

/** A result, and the mark of the inbox epoch that it is of. */
export interface CarriedOut {
  readonly result: ChangeResult;
  readonly epochMark: number;
}

const RETRY_AFTER_MS = 500;

/**
 * Carries out changes of messages, a bounded number at a time: each is a transaction of its own, which checks, changes and
 * appends. They are rare beside sends, so nothing is gained by batches, and a change that waits for a lock holds up no send.
 */
export class ChangeDesk {
  readonly #ports: ChangeDeskPorts;

  constructor(ports: ChangeDeskPorts) {
    this.#ports = ports;
  }

  /**
   * Resolves after the commit; the event is on its way then.
   * @throws {ImError} BUSY: nothing was done; RETRYABLE: nothing is known, the same order again finds out
   */
  carryOut(order: ChangeOrder): Promise<CarriedOut> {
    const { promise, resolve, reject } = Promise.withResolvers<CarriedOut>();
    this.#ports.gate.enter(
      () => this.#run(order).then(resolve, reject),
      () => {
        this.#count(order, "busy");
        reject(new ImError(ErrorCode.BUSY, "too many changes at once", { retryAfterMs: RETRY_AFTER_MS }));
      },
      tenantOf(order.sender),
    );
    return promise;
  }

  async #run(order: ChangeOrder): Promise<CarriedOut> {
    const { store, epochs, clock, metrics, onFault } = this.#ports;
    const epoch = epochs.current;
    const startedMs = clock.nowMs();
    try {
      const result = await store.changes.change(order, epoch);
      const epochMark = epochs.markOf(epoch);
      if (result.kind === "changed") this.#deliver(order, result, epochMark);
      this.#count(order, result.kind === "refused" ? result.why : result.kind);
      return { result, epochMark };
    } catch (error) {
      if (error instanceof OtherEpochError) epochs.doubt();
      onFault("change", error);
      this.#count(order, "failed");
      throw toImError(error);
    } finally {
      metrics.changeSeconds.observe((clock.nowMs() - startedMs) / 1000);
    }
  }

  #deliver(order: ChangeOrder, result: ChangeResult & { kind: "changed" }, epochMark: number): void {
    const { conversationId, eventId, sender, clientMessageId, eventBare, eventTail, atMs } = order;
    const content = Buffer.concat([eventBare, eventTail]);
    this.#ports.deliver({
      event: {
        ...{ conversationId, convSeq: result.eventSeq, messageId: eventId, sender, sentAtMs: atMs },
        ...{ clientMessageId, contentType: CHANGE_TYPE, content },
      },
      recipients: result.recipients,
      largeVersion: result.largeVersion,
      epochMark,
      origin: NO_ORIGIN,
      isSilent: true,
    });
  }

  #count({ kind }: ChangeOrder, result: string): void {
    this.#ports.metrics.changes.inc({ kind, result });
  }
}
