// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import type { Logger } from "#lib/logger.ts";
import { AttachReply, type AttachRequest } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Router } from "../router/router.ts";
import { disconnectBody } from "../session/session.ts";
import type { Store } from "../store/store.ts";
import type { EntryStream } from "./entry-stream.ts";

/** An entry renews three times within one lease. */
const RENEWALS_PER_LEASE = 3;

/** What {@link EntryLeases} needs. */
export interface LeasePorts {
  store: Pick<Store, "registerEntry" | "entryState">;
  router: Pick<Router, "renewLease">;
  /** Name of this process, for people. */
  logicName: string;
  leaseTtlMs: number;
  clock: Pick<Clock, "nowMs">;
  /** An incarnation is known to be dead. */
  onFenced: (incarnation: string) => void;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
  metrics: LogicMetrics;
}

/**
 * Incarnations and leases of the attached entries. An entry is fenced on positive evidence only: dead in SQL, or
 * tombstoned in Redis. Losing either of them fences nobody.
 */
export class EntryLeases {
  readonly #ports: LeasePorts;

  constructor(ports: LeasePorts) {
    this.#ports = ports;
  }

  /** ATTACH: gives the stream its incarnation and a lease. False: the stream is (being) closed. */
  async attach(stream: EntryStream, request: AttachRequest): Promise<boolean> {
    const incarnation = await this.#identify(request);
    if (incarnation === undefined) {
      stream.close("attach");
      return false;
    }
    stream.name = request.podName;
    stream.version = request.version;
    if ((await this.#check(incarnation, stream)) === "fenced") {
      this.fence(stream, incarnation);
      return false;
    }
    stream.incarnation = incarnation;
    const leaseIntervalMs = Math.floor(this.#ports.leaseTtlMs / RENEWALS_PER_LEASE);
    const body = AttachReply.encode({ incarnation, logicName: this.#ports.logicName, leaseIntervalMs });
    return stream.send({ kind: RecordKind.ATTACHED, body });
  }

  /**
   * LEASE: prolongs it, or fences. `sentMs` is the entry's own monotonic time, 0 = unknown. No answer when neither SQL nor
   * Redis knows: the entry asks again.
   */
  async renew(stream: EntryStream, rid: number, sentMs: number): Promise<void> {
    const ageMs = sentMs > 0 ? stream.delays.delayMs(sentMs, this.#ports.clock.nowMs()) : 0;
    const state = await this.#check(stream.incarnation, stream, ageMs);
    this.#ports.metrics.leases.inc({ result: state });
    if (state === "fenced") this.fence(stream);
    else if (state === "ok") stream.send({ kind: RecordKind.LEASED, rid, aux: this.#ports.leaseTtlMs });
  }

  /** The router lost its leases: an open stream is evidence enough to renew those of live entries at once. */
  renewAll(streams: Iterable<EntryStream>): void {
    for (const stream of streams) if (stream.incarnation !== "") void this.#renewQuietly(stream);
  }

  async #renewQuietly(stream: EntryStream): Promise<void> {
    if ((await this.#check(stream.incarnation, stream)) === "fenced") this.fence(stream);
  }

  /**
   * Fences the attached entries that SQL knows as dead. An entry sends LEASE to one logic only: the others learn it
   * here, within one interval, and a zombie cannot write through them.
   */
  async fenceDead(streams: Iterable<EntryStream>): Promise<void> {
    for (const stream of [...streams]) {
      if (stream.incarnation === "") continue;
      try {
        if ((await this.#ports.store.entryState(stream.incarnation)) === "dead") this.fence(stream);
      } catch (error) {
        this.#ports.onFault("entry state", error);
      }
    }
  }

  /** Sends FENCED and ends the stream. */
  fence(stream: EntryStream, incarnation = stream.incarnation): void {
    this.#ports.log.warn({ entry: stream.name, incarnation }, "fencing an entry");
    const body = disconnectBody(DisconnectCode.ENTRY_FENCED, "this incarnation was declared dead: exit");
    stream.send({ kind: RecordKind.FENCED, body });
    stream.close("fenced");
    this.#ports.onFenced(incarnation);
  }

  async #identify({ podUid, podName, version, incarnation }: AttachRequest): Promise<string | undefined> {
    if (podUid === "") return undefined;
    if (incarnation !== "") return incarnation.startsWith(`${podUid}.`) ? incarnation : undefined;
    try {
      return (await this.#ports.store.registerEntry({ podUid, podName, version })).incarnation;
    } catch (error) {
      this.#ports.onFault("register entry", error);
      return undefined;
    }
  }

  /** A logic that was frozen finds requests of entries that have died since: their streams are closed by then. */
  async #check(incarnation: string, stream: EntryStream, ageMs = 0): Promise<"ok" | "fenced" | "unknown"> {
    const [inSql, inRouter] = await Promise.allSettled([
      this.#ports.store.entryState(incarnation),
      this.#ports.router.renewLease(incarnation, { ageMs, isWanted: () => !stream.isClosed }),
    ]);
    if (inSql.status === "rejected") this.#ports.onFault("entry state", inSql.reason);
    if (inRouter.status === "rejected") this.#ports.onFault("lease", inRouter.reason);
    if (inSql.status === "fulfilled" && inSql.value === "dead") return "fenced";
    if (inRouter.status === "fulfilled" && inRouter.value === "fenced") return "fenced";
    const isRenewed = inRouter.status === "fulfilled" && inRouter.value === "ok";
    return inSql.status === "fulfilled" || isRenewed ? "ok" : "unknown";
  }
}
