// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { toImError } from "#lib/errors.ts";
import { type ChannelClient, createChannelClient, type InternalTls, type Role } from "#lib/grpc.ts";
import { hostPort } from "#lib/host-port.ts";
import type { Logger } from "#lib/logger.ts";
import type {
  AuditRoutesReply,
  AuditRoutesRequest,
  DrainedSession,
  DrainedSessionsReply,
  DrainRequest,
  LogicStatusReply,
  PurgeEntryReply,
  ReturnedReply,
  ShedRequest,
  StatusReply,
} from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { Pod } from "../kube/types.ts";
import { PORT } from "./names.ts";
import type { EntryProbe } from "./observed.ts";

/** Whose pods are called, and as whom. */
export interface FleetIdentity {
  clusterUid: string;
  /** `undefined`: plaintext, in tests only. */
  tls: InternalTls | undefined;
}

/** What the operator asks of running pods. Pods that do not answer are an expected outcome: `undefined`. */
export interface Fleet {
  status(who: FleetIdentity, entry: Pod): Promise<EntryProbe | undefined>;
  cordon(who: FleetIdentity, entry: Pod, drainId: string): Promise<EntryProbe | undefined>;
  uncordon(who: FleetIdentity, entry: Pod, drainId: string): Promise<EntryProbe | undefined>;
  /** Repeating it with the same id brings the next lease. */
  drain(who: FleetIdentity, entry: Pod, order: DrainRequest): Promise<EntryProbe | undefined>;
  /** Has it ask some of its clients to move, though it serves on. Repeating it with the same number adds nothing. */
  shed(who: FleetIdentity, entry: Pod, request: ShedRequest): Promise<EntryProbe | undefined>;
  /** A page of the sessions that its drain moved or closed. */
  drainedSessions(who: FleetIdentity, entry: Pod, cursor: number): Promise<DrainedSessionsReply | undefined>;
  /** Asks one logic pod after the other. @returns routes left, 0 when done; `undefined` when none answered */
  purge(
    who: FleetIdentity,
    logic: readonly Pod[],
    entry: { uid: string; isForced: boolean },
  ): Promise<number | undefined>;
  /** Asks one logic pod after the other. @returns what it found; `undefined` when none answered */
  audit(
    who: FleetIdentity,
    logic: readonly Pod[],
    request: Omit<AuditRoutesRequest, "cursor">,
  ): Promise<AuditFinding | undefined>;
  /** Which of these sessions, at most 500, are at another entry. Asks one logic pod after the other. */
  returned(
    who: FleetIdentity,
    logic: readonly Pod[],
    sessions: readonly DrainedSession[],
  ): Promise<ReturnedReply | undefined>;
  logicStatus(who: FleetIdentity, logic: Pod): Promise<LogicStatusReply | undefined>;
  close(): void;
}

/** Routes of entries that no longer exist. */
export interface AuditFinding {
  deleted: number;
  remaining: number;
}

export interface FleetClientOptions {
  clock: Clock;
  log: Logger;
  /** Ports of the control services; tests use others than pods. */
  ports?: { entry: number; logic: number };
  /** Connections that are kept while no call needs them. Default 256. */
  maxIdle?: number;
}

const STATUS_DEADLINE_MS = 1_000;
const COMMAND_DEADLINE_MS = 2_000;
const PURGE_DEADLINE_MS = 10_000;
/** For all pages of an audit. */
const AUDIT_DEADLINE_MS = 60_000;
/** A logic pod that did not answer is asked after the others for this long. */
const AVOID_MS = 60_000;
/** Of 500 starts of entries each: more than there are in a week of updates. */
const AUDIT_PAGES = 40;
const IDLE_MS = 60_000;
/** Idle connections are looked for this often. */
const SWEEP_MS = 1_000;
/** As many as large clusters that are drained need once a second. */
const MAX_IDLE = 256;

const ENTRY_CONTROL = serviceDefinition("im.uplink.v1.EntryControl");
const LOGIC_CONTROL = serviceDefinition("im.uplink.v1.LogicControl");

interface Channel {
  client: ChannelClient;
  tls: InternalTls | undefined;
  usedMs: number;
  /** Under way. */
  calls: number;
}

/**
 * Calls pods at their own address over mutual TLS. Keeps connections for a minute after their last use, but only so many: one
 * takes 200 KiB of the process, and those of a thousand entries that are asked now and then are cheaper made anew.
 */
export class FleetClient implements Fleet {
  readonly #options: FleetClientOptions;
  readonly #ports: { entry: number; logic: number };
  /** Those first that were used longest ago. */
  readonly #channels = new Map<string, Channel>();
  /** Logic pods that did not answer, by address, and until when they come last. */
  readonly #avoided = new Map<string, number>();
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(options: FleetClientOptions) {
    this.#options = options;
    this.#ports = options.ports ?? { entry: PORT.entryControl, logic: PORT.logicGrpc };
  }

  status(who: FleetIdentity, entry: Pod): Promise<EntryProbe | undefined> {
    return this.#entry(who, entry, "Status", {}, STATUS_DEADLINE_MS);
  }

  cordon(who: FleetIdentity, entry: Pod, drainId: string): Promise<EntryProbe | undefined> {
    return this.#entry(who, entry, "Cordon", { drainId }, COMMAND_DEADLINE_MS);
  }

  uncordon(who: FleetIdentity, entry: Pod, drainId: string): Promise<EntryProbe | undefined> {
    return this.#entry(who, entry, "Uncordon", { drainId }, COMMAND_DEADLINE_MS);
  }

  drain(who: FleetIdentity, entry: Pod, order: DrainRequest): Promise<EntryProbe | undefined> {
    return this.#entry(who, entry, "Drain", order, COMMAND_DEADLINE_MS);
  }

  shed(who: FleetIdentity, entry: Pod, request: ShedRequest): Promise<EntryProbe | undefined> {
    return this.#entry(who, entry, "Shed", request, COMMAND_DEADLINE_MS);
  }

  drainedSessions(who: FleetIdentity, entry: Pod, cursor: number): Promise<DrainedSessionsReply | undefined> {
    return this.#call(who, entry, "entry", "DrainedSessions", { cursor }, COMMAND_DEADLINE_MS);
  }

  async purge(
    who: FleetIdentity,
    logic: readonly Pod[],
    { uid, isForced }: { uid: string; isForced: boolean },
  ): Promise<number | undefined> {
    for (const pod of this.#inTurn(logic)) {
      const request = { podUid: uid, force: isForced };
      const reply = await this.#call<PurgeEntryReply>(who, pod, "logic", "PurgeEntry", request, PURGE_DEADLINE_MS);
      if (reply) return reply.routesRemaining;
    }
    return undefined;
  }

  async audit(
    who: FleetIdentity,
    logic: readonly Pod[],
    request: Omit<AuditRoutesRequest, "cursor">,
  ): Promise<AuditFinding | undefined> {
    for (const pod of this.#inTurn(logic)) {
      const found = await this.#auditWith(who, pod, request);
      if (found) return found;
    }
    return undefined;
  }

  async returned(
    who: FleetIdentity,
    logic: readonly Pod[],
    sessions: readonly DrainedSession[],
  ): Promise<ReturnedReply | undefined> {
    for (const pod of this.#inTurn(logic)) {
      const reply = await this.#call<ReturnedReply>(who, pod, "logic", "Returned", { sessions }, COMMAND_DEADLINE_MS);
      if (reply) return reply;
    }
    return undefined;
  }

  logicStatus(who: FleetIdentity, logic: Pod): Promise<LogicStatusReply | undefined> {
    return this.#call(who, logic, "logic", "Status", {}, STATUS_DEADLINE_MS);
  }

  /** Connections that are kept at present. */
  get connections(): number {
    return this.#channels.size;
  }

  close(): void {
    for (const { client } of this.#channels.values()) client.close();
    this.#channels.clear();
  }

  async #auditWith(
    who: FleetIdentity,
    pod: Pod,
    request: Omit<AuditRoutesRequest, "cursor">,
  ): Promise<AuditFinding | undefined> {
    const found: AuditFinding = { deleted: 0, remaining: 0 };
    let cursor = "";
    const untilMs = this.#options.clock.nowMs() + AUDIT_DEADLINE_MS;
    for (let page = 0; page < AUDIT_PAGES && this.#options.clock.nowMs() < untilMs; page++) {
      const ask = { ...request, cursor };
      const reply = await this.#call<AuditRoutesReply>(who, pod, "logic", "AuditRoutes", ask, PURGE_DEADLINE_MS);
      if (!reply) return undefined;
      found.deleted += reply.routesDeleted;
      found.remaining += reply.routesRemaining;
      cursor = reply.cursor;
      if (cursor === "") break;
    }
    return found;
  }

  /** Those first of which nobody waited in vain lately. */
  #inTurn(logic: readonly Pod[]): Pod[] {
    const nowMs = this.#options.clock.nowMs();
    for (const [address, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(address);
    const isLast = ({ status }: Pod) => this.#avoided.has(hostPort(status?.podIP ?? "", this.#ports.logic));
    return [...logic.filter((pod) => !isLast(pod)), ...logic.filter(isLast)];
  }

  async #entry(
    who: FleetIdentity,
    pod: Pod,
    method: string,
    request: object,
    deadlineMs: number,
  ): Promise<EntryProbe | undefined> {
    const reply = await this.#call<StatusReply>(who, pod, "entry", method, request, deadlineMs);
    if (!reply) return undefined;
    return probeOf(reply, this.#options.clock.nowMs());
  }

  async #call<Reply extends object>(
    who: FleetIdentity,
    pod: Pod,
    role: "entry" | "logic",
    method: string,
    request: object,
    deadlineMs: number,
  ): Promise<Reply | undefined> {
    const ip = pod.status?.podIP;
    if (!ip) return undefined;
    const address = hostPort(ip, this.#ports[role]);
    const channel = this.#channel(who, role, address);
    channel.calls++;
    try {
      return await channel.client.call<Reply>(method, request, deadlineMs);
    } catch (error) {
      const fault = toImError(error);
      if (role === "logic") this.#avoided.set(address, this.#options.clock.nowMs() + AVOID_MS);
      this.#options.log.debug({ pod: pod.metadata.name, method, err: fault }, "pod did not answer");
      return undefined;
    } finally {
      channel.calls--;
    }
  }

  #channel(who: FleetIdentity, role: Role & ("entry" | "logic"), address: string): Channel {
    this.#closeIdle();
    const key = `${who.clusterUid}/${role}/${address}`;
    const known = this.#channels.get(key);
    this.#channels.delete(key);
    const channel = known?.tls === who.tls && known !== undefined ? known : this.#open(who, role, address);
    if (channel !== known) known?.client.close();
    channel.usedMs = this.#options.clock.nowMs();
    this.#channels.set(key, channel);
    return channel;
  }

  #open({ tls }: FleetIdentity, role: Role & ("entry" | "logic"), address: string): Channel {
    const definition = role === "entry" ? ENTRY_CONTROL : LOGIC_CONTROL;
    return { client: createChannelClient({ address, definition, role, tls }), tls, usedMs: 0, calls: 0 };
  }

  #closeIdle(): void {
    const nowMs = this.#options.clock.nowMs();
    const { maxIdle = MAX_IDLE } = this.#options;
    if (nowMs - this.#sweptMs < SWEEP_MS && this.#channels.size <= maxIdle) return;
    this.#sweptMs = nowMs;
    for (const [key, { client, usedMs, calls }] of this.#channels) {
      const isOld = nowMs - usedMs >= IDLE_MS;
      if (!isOld && this.#channels.size <= maxIdle) break;
      if (calls > 0 && !isOld) continue;
      client.close();
      this.#channels.delete(key);
    }
  }
}

function probeOf(reply: StatusReply, atMs: number): EntryProbe {
  const { connections, sessions, cordoned, draining, incarnation } = reply;
  return {
    ...{ connections, sessions, cordoned, draining, incarnation, atMs },
    drain: {
      ...{ initial: reply.drainInitial, asked: reply.drainAsked },
      ...{ waiting: reply.drainWaiting, forced: reply.drainForced },
    },
    ...{ logins: reply.logins, loginsFailed: reply.loginsFailed, loginP99Ms: reply.loginP99Ms },
    ...(reply.answerP99Ms > 0 ? { answerP99Ms: reply.answerP99Ms } : {}),
    // Entries of before this was counted say 0.
    ...(reply.arrivals > 0 ? { arrivals: reply.arrivals } : {}),
  };
}
