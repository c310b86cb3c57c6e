// SPDX-License-Identifier: Apache-2.0
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import type { Store } from "../store/store.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import type { EpochWatch } from "./epoch-watch.ts";

const MAX_BATCH = 1000;
const MAX_WAITING = 50_000;

/** What {@link HeadReader} needs. */
export interface HeadPorts {
  store: Pick<Store, "inboxHeads">;
  epochs: Pick<EpochWatch, "saw" | "markOf">;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  metrics: LogicMetrics;
}

/** ASK_HEAD: answers with the inbox heads of all sessions that asked in one tick, from one query. */
export class HeadReader {
  readonly #ports: HeadPorts;
  readonly #batch: TickBatch<Session>;

  constructor(ports: HeadPorts) {
    this.#ports = ports;
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
      onRefused: () => ports.metrics.heads.inc({ result: "dropped" }),
      onFailed: (error, batch) => {
        ports.onFault("heads", error);
        ports.metrics.heads.inc({ result: "failed" }, batch.length);
      },
    });
  }

  /** No answer when overloaded, the store is away, or it is of another epoch: the next PING asks again. */
  ask(session: Session): void {
    this.#batch.add(session);
  }

  async #run(batch: readonly Session[]): Promise<void> {
    const { store, epochs } = this.#ports;
    const { heads, epoch } = await store.inboxHeads([...new Set(batch.map(({ userId }) => userId))]);
    epochs.saw(epoch);
    const mark = epochs.markOf(epoch);
    for (const { entry, conn, userId, epochMark } of batch)
      if (epochMark === mark) entry.send({ kind: RecordKind.HEAD, conn, aux: heads.get(userId) ?? 0 });
    this.#ports.metrics.heads.inc({ result: "ok" }, batch.length);
  }
}
