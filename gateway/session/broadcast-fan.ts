// SPDX-License-Identifier: Apache-2.0
import { readBroadcast } from "#proto/uplink/broadcast-record.ts";
import { isSameEpoch } from "#proto/uplink/epoch-mark.ts";
import type { UplinkRecord } from "#proto/uplink/record.ts";
import { encodeFrame } from "../wire/envelope.ts";
import type { Connection } from "./connection.ts";
import type { Session } from "./session.ts";

/** Clients written to per turn of the event loop: the messages of others go between. */
const PORTION = 500;

/** A position among the broadcasts of a tenant. */
interface Place {
  seq: number;
  /** See {@link Session.epochMark}. */
  epochMark: number;
}

/** What it needs of the hub. */
export interface FanHub {
  find(conn: number): Connection | undefined;
  all(): Iterable<Connection>;
}

/**
 * What an entry knows of broadcasts: where the newest one of each tenant is, for PONG; and how a frame for many becomes one for each. It
 * never looks into them.
 */
export class BroadcastFan {
  readonly #hub: FanHub;
  readonly #defer: (fn: () => void) => void;
  readonly #heads = new Map<string, Place>();
  /** The last one that went to all clients of a tenant: every logic sends it. */
  readonly #sent = new Map<string, Place>();

  constructor(hub: FanHub, defer: (fn: () => void) => void = setImmediate) {
    this.#hub = hub;
    this.#defer = defer;
  }

  /** Newest activation seq for a session; 0: none is known. */
  headOf({ tenant, epochMark }: Pick<Session, "tenant" | "epochMark">): number {
    const head = this.#heads.get(tenant);
    return head && isSameEpoch(head.epochMark, epochMark) ? head.seq : 0;
  }

  /** SYS_HEAD. Heads of one epoch only grow: a logic that is late changes nothing. */
  onHead(tenant: string, seq: number, epochMark: number): void {
    advance(this.#heads, tenant, { seq, epochMark });
  }

  /** BROADCAST. `record.body` is a view of the batch. */
  onBroadcast({ cmd, flags, conn, rid: epochMark, aux: seq, body: bytes }: UplinkRecord): void {
    const read = readBroadcast({ conn, body: bytes });
    if (!read) return;
    const { target } = read;
    if ("conns" in target) {
      const frame = encodeFrame(cmd, 0, flags, read.body);
      const connections = target.conns.map((one) => this.#hub.find(one));
      this.#send(connections, { cmd, frame, epochMark, tenant: undefined });
      return;
    }
    const { tenant } = target;
    this.onHead(tenant, seq, epochMark);
    if (!advance(this.#sent, tenant, { seq, epochMark })) return;
    this.#send([...this.#hub.all()], { cmd, frame: encodeFrame(cmd, 0, flags, read.body), epochMark, tenant });
  }

  #send(
    connections: readonly (Connection | undefined)[],
    { cmd, frame, epochMark, tenant }: { cmd: number; frame: Buffer; epochMark: number; tenant: string | undefined },
  ): void {
    let at = 0;
    const step = (): void => {
      const end = Math.min(connections.length, at + PORTION);
      for (; at < end; at++) {
        const connection = connections[at];
        const session = connection?.session;
        if (!session || !isSameEpoch(session.epochMark, epochMark)) continue;
        if (tenant === undefined || session.tenant === tenant) connection.onBroadcast(cmd, frame);
      }
      if (at < connections.length) this.#defer(step);
    };
    step();
  }
}

/** False: the place is not behind the one that is known. */
function advance(places: Map<string, Place>, tenant: string, place: Place): boolean {
  const known = places.get(tenant);
  if (known && known.epochMark === place.epochMark && known.seq >= place.seq) return false;
  places.set(tenant, place);
  return true;
}
