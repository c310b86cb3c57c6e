// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import { silentLogger } from "#lib/logger.ts";
import { Drain } from "../../gateway/drain.ts";
import { Admission } from "../../gateway/listen/admission.ts";
import type { Carrier } from "../../gateway/session/carrier.ts";
import { Hub } from "../../gateway/session/hub.ts";
import { SessionAnnouncer } from "../../gateway/uplink/announcer.ts";
import { Downlink } from "../../gateway/uplink/downlink.ts";
import type { OpenStream } from "../../gateway/uplink/link.ts";
import { UplinkPool } from "../../gateway/uplink/pool.ts";
import { Proc } from "./kernel.ts";
import { type LogicProcess, PING_INTERVAL_MS, STREAM_HIGH_WATER } from "./logic-process.ts";
import type { Wire } from "./network.ts";
import type { Plan } from "./plan.ts";
import { METRICS, type World } from "./world.ts";

const CONNECT_TIMEOUT_MS = 5000;
const FENCE_GRACE_MS = 500;
/** The operator makes a pod in place of one that ended. */
const REPLACE_MS = 1500;
const SOCKET_HIGH_WATER = 16 * 1024;

/** The parts of one start of an entry process. */
interface Running {
  hub: Hub;
  pool: UplinkPool;
  drain: Drain;
  admission: Admission;
}

/** One entry process after the other under one name; the pod's uid changes when the operator replaces the pod. */
export class EntryProcess {
  readonly name: string;
  readonly #world: World;
  readonly #logics: readonly LogicProcess[];
  readonly #hasReasserts: boolean;
  #proc: Proc;
  #running: Running | undefined;
  #pods = 1;
  #isFenced = false;

  constructor(world: World, name: string, logics: readonly LogicProcess[], { hasReasserts }: Plan) {
    this.#world = world;
    this.#hasReasserts = hasReasserts;
    this.name = name;
    this.#logics = logics;
    this.#proc = new Proc(name);
  }

  get proc(): Proc {
    return this.#proc;
  }

  get podUid(): string {
    return `${this.name}-pod${this.#pods}`;
  }

  get isUp(): boolean {
    return !this.#proc.isDead && this.#running !== undefined;
  }

  /** A load balancer would send somebody here. */
  get isReady(): boolean {
    const running = this.#running;
    return (
      this.isUp && !this.#isFenced && running !== undefined && running.pool.attached > 0 && !running.drain.isActive
    );
  }

  /** Open sessions, as this process knows them. */
  sessions(): { uid: string; slot: string; session: string }[] {
    const { hub, pool } = this.#running ?? {};
    if (!this.isUp || !hub || !pool) return [];
    return [...hub.all()].flatMap(({ session, conn }) =>
      session ? [{ uid: session.userId, slot: session.slot, session: `${pool.incarnation}/${conn}` }] : [],
    );
  }

  start(isNewPod: boolean): void {
    if (isNewPod) this.#pods++;
    const world = this.#world;
    const proc = new Proc(this.name);
    this.#proc = proc;
    this.#isFenced = false;
    world.kernel.after(0, proc, () => this.#compose(proc));
  }

  /** SIGKILL. */
  kill(why: string): void {
    if (this.#proc.isDead) return;
    this.#proc.isDead = true;
    this.#running = undefined;
    this.#world.note(this.name, `killed: ${why}`);
    this.#world.network.died(this.#proc);
  }

  drain(windowMs: number, deadlineMs: number): void {
    this.#running?.drain.start({ drainId: "drain", windowMs, deadlineMs });
  }

  /** A client's connection was accepted; runs in this process. */
  accept(wire: Wire<Uint8Array>): void {
    const running = this.#running;
    if (!running) return;
    const carrier: Carrier = {
      listener: "tcp",
      remoteAddress: wire.a.name,
      // A copy, as a socket makes: what is written is the writer's no more.
      write: (bytes) => wire.send(1, new Uint8Array(bytes), SOCKET_HIGH_WATER),
      get bufferedBytes() {
        return wire.unread(1);
      },
      pause: () => wire.stall(0, Number.MAX_SAFE_INTEGER),
      resume: () => {
        wire.stall(0, 0);
        wire.resume();
      },
      end: () => wire.close(1),
      destroy: () => {
        wire.reset("destroyed");
      },
    };
    const connection = running.admission.open(carrier, running.hub.heartbeats.nowTick);
    wire.attach(1, {
      onMessage: (bytes) => connection.onBytes(Buffer.from(bytes.buffer)),
      onClose: () => {
        wire.close(1);
        connection.onGone();
      },
      onDrain: () => connection.onDrain(),
    });
  }

  #compose(proc: Proc): void {
    const { kernel } = this.#world;
    const clock = kernel.clockOf(proc);
    const log = silentLogger;
    const { stats, entry: metrics } = METRICS;
    const pool: UplinkPool = new UplinkPool({
      targets: this.#logics.map(({ name }) => `${name}:1`),
      identity: { podUid: this.podUid, podName: this.name, version: "sim" },
      open: this.#opener(proc),
      resolve: () => Promise.resolve([]),
      clock,
      log,
      stats,
      metrics,
      owner: {
        onRecord: (link, record) => downlink.onRecord(link, record),
        onAttached: (link) => hub.announceClosed(link),
        onLost: (link) => downlink.onLost(link),
        onFenced: (reason) => this.#fenced(proc, hub, reason),
      },
    });
    const hub = new Hub({
      ...{ clock, log, stats, metrics, logics: pool },
      ...{ loginTimeoutMs: 10_000, pingIntervalMs: PING_INTERVAL_MS },
    });
    const drain = new Drain(hub, clock, log, kernel.random.next);
    const announcer = new SessionAnnouncer({
      ...{ connections: () => hub.all(), sessions: () => (this.#hasReasserts ? hub.sessions : 0), logics: pool },
      ...{ clock, random: kernel.random.next },
    });
    const downlink = new Downlink(hub, log, announcer, (connection) => drain.onLogin(connection));
    const admission = new Admission(hub, 1000, () => drain.isActive);
    this.#running = { hub, pool, drain, admission };
    hub.heartbeats.start();
    pool.start();
    announcer.start();
  }

  #fenced(proc: Proc, hub: Hub, reason: string): void {
    if (this.#isFenced) return;
    this.#isFenced = true;
    this.#world.note(this.name, `fenced: ${reason}`);
    hub.closeAll(DisconnectCode.ENTRY_FENCED, "this entry was declared dead: connect again");
    this.#world.kernel.after(FENCE_GRACE_MS, proc, () => {
      this.kill("fenced");
      this.#world.kernel.after(REPLACE_MS, undefined, () => {
        if (!this.isUp && this.#proc === proc) this.start(true);
      });
    });
  }

  /** Streams to the logic processes, over the network of the simulation. */
  #opener(proc: Proc): OpenStream {
    const { kernel, network } = this.#world;
    return (address, { onConnected, onBatch, onClose }) => {
      const logic = this.#logics.find(({ name }) => address === `${name}:1`);
      let wire: Wire<Buffer> | undefined;
      let isClosed = false;
      let onDrain = (): void => undefined;
      const closed = (error?: Error): void => {
        if (isClosed) return;
        isClosed = true;
        wire?.close(0);
        onClose(error);
      };
      const isCut = network.cutUntilMs(proc.name, logic?.name ?? "") > kernel.nowMs;
      kernel.after(isCut ? CONNECT_TIMEOUT_MS : network.latencyMs(), proc, () => {
        if (isClosed) return;
        if (isCut || !logic?.isUp) {
          closed(new Error(`${address} refused`));
          return;
        }
        const opened = network.open<Buffer>(proc, logic.proc, (batch) => batch.length);
        wire = opened;
        opened.attach(0, {
          onMessage: (batch) => onBatch(batch),
          onClose: (error) => closed(error),
          onDrain: () => onDrain(),
        });
        kernel.after(0, logic.proc, () => logic.accept(opened));
        onConnected();
      });
      return {
        write: (batch) => wire?.send(0, batch, STREAM_HIGH_WATER) ?? true,
        onDrain: (fn) => {
          onDrain = fn;
        },
        close: () => closed(),
      };
    };
  }
}
