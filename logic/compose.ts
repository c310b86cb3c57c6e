// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { repeat } from "#lib/repeat.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import type { Tracer } from "#lib/tracing/tracer.ts";
import { type BroadcastParts, composeBroadcasts } from "./broadcasts/compose-broadcasts.ts";
import { type ChangeParts, type ChangeSettings, composeChanges } from "./compose-changes.ts";
import { type ChatCore, composeChat } from "./compose-chat.ts";
import { composeIdentity } from "./compose-identity.ts";
import { composePresence, type PresenceParts } from "./compose-presence.ts";
import { AckWatch } from "./deliver/ack-watch.ts";
import type { AckWheel } from "./deliver/ack-wheel.ts";
import { Delivery, type Outgoing } from "./deliver/deliver.ts";
import { type IntentSink, OfflineQueue } from "./deliver/offline.ts";
import { OverdueSlots } from "./deliver/overdue.ts";
import { ROUTE_MAX_AGE_MS, RouteCache } from "./deliver/route-cache.ts";
import { SilentSeqs } from "./deliver/silent-seqs.ts";
import { UnreachableHandler } from "./deliver/unreachable.ts";
import { Gate } from "./gate.ts";
import { MAX_GROUP_MEMBERS } from "./groups/group-rules.ts";
import { LargePace } from "./groups/large-pace.ts";
import type { AdminPorts } from "./grpc/admin.ts";
import type { ControlServicePorts } from "./grpc/control.ts";
import { Entries } from "./grpc/entries.ts";
import { EntryLeases } from "./grpc/leases.ts";
import { RouteWriter } from "./grpc/route-writer.ts";
import { UplinkServer } from "./grpc/server.ts";
import type { HookSettings } from "./hooks/hook-settings.ts";
import { AckBuffer } from "./inbox/acks.ts";
import { EpochWatch } from "./inbox/epoch-watch.ts";
import type { GapLimits } from "./inbox/gap.ts";
import { HeadReader } from "./inbox/heads.ts";
import { HistoryHandler } from "./inbox/history.ts";
import { LateHeads } from "./inbox/late-heads.ts";
import { PullHandler } from "./inbox/pull.ts";
import { ReadDesk } from "./inbox/read-desk.ts";
import { SnapshotHandler } from "./inbox/snapshot.ts";
import type { LogicMetrics } from "./metrics.ts";
import type { PolicyEngine } from "./policy/engine.ts";
import { PolicyGuard } from "./policy/policy-guard.ts";
import type { ChangeLog } from "./presence/change-log.ts";
import { RouterMemory } from "./presence/router-memory.ts";
import { GenerationWatch } from "./router/generation-watch.ts";
import type { Router } from "./router/router.ts";
import { NO_GUARDS, type SendGuards } from "./send/before-send.ts";
import { expecting } from "./send/expecting.ts";
import { createMessageIds } from "./send/message-id.ts";
import { SendHandler } from "./send/send.ts";
import { SendGate } from "./send/send-gate.ts";
import { type PolicyOf, policyFor } from "./send/subject.ts";
import type { AppendAsPorts } from "./server-api/append-as.ts";
import type { ActivityBuffer } from "./session/activity.ts";
import { KickDesk } from "./session/kick.ts";
import type { EntryPort, Session } from "./session/session.ts";
import type { SessionPolicy } from "./session/slots.ts";
import { GroupCommit } from "./store/group-commit.ts";
import { OtherEpochError, type Store } from "./store/store.ts";
import type { Defer } from "./tick-batch.ts";
import type { TokenVerifier } from "./token/verify.ts";

/** SQL work of logins and pulls runs on the store's general connections; more would only wait there. */
const PULL_GATE = { maxRunning: 16, maxWaiting: 5000, maxWaitMs: 2000 };

/** Half as long again as a remembered route, so that a process that was late by as much does not count either. */
const LATE_HEAD_MS = 1.5 * ROUTE_MAX_AGE_MS;

/**
 * Measured on two cores: 1,000 users in a closed loop wait about 100 ms for their transaction while everything keeps up.
 * To shed them there costs more than it saves, as each comes again; 250 ms is a database that falls behind.
 */
const MAX_QUEUE_MS = 250;

/** The world around the logic: everything with I/O, time or chance. */
export interface LogicPorts {
  store: Store;
  router: Router;
  intents: IntentSink;
  /** Keeps where traced messages are that a device may not acknowledge. Default: nobody does. */
  traceNotes?: { add(userId: string, inboxSeq: number, context: TraceContext): void } | undefined;
  wheel: AckWheel;
  tokens: Pick<TokenVerifier, "verify">;
  /** Tells whose sessions come and go, for clients that watch. Default: clients see nobody's presence. */
  changeLog?: ChangeLog;
  /** Recalls, edits and cards. */
  changes?: ChangeSettings;
  /** Rules that messages are held against, as they are now; default none. */
  policy?: () => PolicyEngine;
  /** Who else looks at messages before and after they are stored; default nobody. */
  guards?: SendGuards;
  /** Backends that are told of presence, or give late verdicts, as they are now. Default: none. */
  hooks?: () => HookSettings;
  /** A group has at most. Default: 200, and none is large. */
  maxGroupMembers?: number | undefined;
  /** Has a pair of users one conversation, or one per subject? Default: one. */
  policyOf?: PolicyOf;
  /** With one per subject, a pair may have so many. Default 1000. */
  maxItemConversations?: number | undefined;
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
  /** Name of this process, for people. */
  name: string;
  leaseTtlMs: number;
  pingIntervalMs: number;
  /** Default: as in the foreground. */
  backgroundPingIntervalMs?: number;
  /** Longest wait of a message for company in its transaction; see GroupCommit. 0 under a clock that stands still. */
  maxLingerMs?: number;
  gap: GapLimits;
  /** How long a device of unknown round trip may take to acknowledge a delivery before its user is pushed to. */
  ackTimeoutMs: number;
  /** Default {@link DEFAULT_POLICY}. */
  sessionPolicy?: SessionPolicy;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
  metrics: LogicMetrics;
}

/** The logic without its process: runs on real ports, or on memory ones in tests and simulations. */
export interface LogicCore {
  readonly entries: Entries;
  readonly server: UplinkServer;
  readonly control: ControlServicePorts;
  readonly admin: AdminPorts;
  /** How messages go that no session sends. */
  readonly sending: AppendAsPorts & Pick<LogicPorts, "maxGroupMembers">;
  readonly acks: AckBuffer;
  readonly ackWatch: AckWatch;
  readonly activity: ActivityBuffer;
  readonly presence: Pick<PresenceParts, "watcher">;
  readonly broadcasts: Pick<BroadcastParts, "board" | "flush">;
  /** For backends: cards and their updates. */
  readonly cards: ChangeParts["cards"];
  /** Watches the router; resolves when it was asked for the first time. */
  start(): Promise<void>;
  /** Deliveries that wait until their entry is attached. */
  parked(): number;
  /** Asks the store whether it is there, and of which inbox epoch. @throws {ImError} as it does */
  ping(): Promise<void>;
  /** Tells the entries to choose another logic, and waits for no entry any more. */
  leave(): void;
  /** Nothing taken is unanswered. */
  isIdle(): boolean;
  /** Releases timers. */
  close(): void;
}

type OnFault = (op: string, error: unknown) => void;

/** Everything behind a commit. */
function composeDelivery(
  {
    store,
    router,
    intents,
    traceNotes,
    wheel,
    ackTimeoutMs: timeoutMs,
    clock,
    random,
    defer,
    onFault,
    metrics,
  }: LogicPorts,
  entries: Entries,
  presence: PresenceParts,
  { onRouterFault, onUncertain }: { onRouterFault: OnFault; onUncertain: () => void },
) {
  const kicks = new KickDesk(entries, clock);
  const offlineQueue = new OfflineQueue({ sink: intents, onFault, defer, metrics });
  const offline = offlineQueue.add.bind(offlineQueue);
  const cache = new RouteCache({ router, clock, onFault: onRouterFault, defer });
  const { changes } = cache;
  // Announcements are no news, but for those whose first write was not answered.
  const noted = presence.noting(changes);
  const leaving = { login: changes.login, logout: noted.logout };
  const overdue = new OverdueSlots({ router, entries, onRouterFault });
  const ackWatch = new AckWatch({
    ...{ wheel, timeoutMs, clock, random, onFault, metrics },
    onFired: (fired) => void overdue.tell(fired),
  });
  const delivered = ackWatch.delivered.bind(ackWatch);
  const ways = { router, routes: cache, changes: leaving, entries };
  const shared = { ...ways, offline, delivered, onRouterFault, clock, defer, metrics };
  const silent = new SilentSeqs();
  const traced = traceNotes?.add.bind(traceNotes);
  const delivery = new Delivery({ ...shared, silent: (userId, seq) => silent.add(userId, seq), traced });
  const unreachable = new UnreachableHandler({ ...shared, isSilent: (userId, seq) => silent.has(userId, seq) });
  const routes = new RouteWriter({
    router: { ...leaving, forget: (incarnation, conns) => router.forget(incarnation, conns) },
    kicks,
    store,
    onStoreFault: onFault,
    onRouterFault,
    onUncertain,
    onRouted: (userId) => presence.note(userId),
    defer,
  });
  const gone = (incarnation: string): void => {
    cache.gone(incarnation);
    kicks.gone(incarnation);
    delivery.gone(incarnation);
  };
  const attached = (entry: EntryPort): void => {
    kicks.attached(entry);
    delivery.attached(entry);
  };
  const isIdle = (): boolean => [delivery, unreachable, routes, offlineQueue].every((part) => part.isIdle);
  return { cache, delivery, unreachable, routes, changes: noted, ackWatch, kicks, gone, attached, isIdle };
}

/** What turns sends into transactions. */
function composeCommits({ store, clock, metrics, onFault, maxLingerMs }: LogicPorts, epochs: EpochWatch): GroupCommit {
  return new GroupCommit(store, {
    clock,
    maxQueueMs: MAX_QUEUE_MS,
    epoch: () => epochs.current,
    ...(maxLingerMs === undefined ? {} : { maxLingerMs }),
    observe: (messages, durationMs, error) => {
      metrics.commitMessages.observe(messages);
      metrics.commitSeconds.observe({ result: error ? "error" : "ok" }, durationMs / 1000);
      if (error instanceof OtherEpochError) epochs.doubt();
      if (error) onFault("append", error);
    },
  });
}

/** Large groups are paced only where there may be some. */
function guardsWith(pace: LargePace, { guards = NO_GUARDS, maxGroupMembers = 0 }: LogicPorts): SendGuards {
  return maxGroupMembers > MAX_GROUP_MEMBERS ? { ...guards, before: [...guards.before, pace] } : guards;
}

/** The rules, then whoever else looks at messages. */
function composeGate(ports: LogicPorts, { before }: SendGuards): SendGate {
  const { policy: engine, store, clock, defer, onFault, metrics } = ports;
  const shared = { clock, onFault, metrics };
  const rules = engine ? [new PolicyGuard({ ...shared, engine, store: store.policy, defer })] : [];
  return new SendGate({ ...shared, guards: [...rules, ...before] });
}

/** What writes into conversations, for a client and for other parts. */
function composeSends(
  ports: LogicPorts,
  {
    commits,
    delivery,
    epochs,
    cache,
  }: { commits: GroupCommit; delivery: Delivery; epochs: EpochWatch; cache: RouteCache },
) {
  const { clock, random, metrics, maxGroupMembers, tracer } = ports;
  const large: ChatCore["large"] = { tell: undefined };
  const pace = new LargePace(clock);
  const guards = guardsWith(pace, ports);
  const gate = composeGate(ports, guards);
  const sending = {
    messageId: createMessageIds(() => clock.wallMs()),
    submit: expecting(commits.submit.bind(commits), cache.expect.bind(cache)),
    deliver: (outgoing: Outgoing): void => {
      delivery.deliver(outgoing);
      if (outgoing.largeVersion === undefined) return;
      pace.sawLarge(outgoing.event.conversationId);
      large.tell?.(outgoing);
    },
    epochs,
    maxGroupMembers,
    policyOf: ports.policyOf ?? policyFor("per_peer"),
    maxItemConversations: ports.maxItemConversations,
  };
  const changing = composeChanges(ports, { ...sending, gate });
  const checkCard = changing.cards.check.bind(changing.cards);
  return {
    sending,
    changing,
    large,
    gate,
    send: new SendHandler({ clock, random, metrics, tracer, checkCard, gate, after: guards.after, ...sending }),
  };
}

/** Everything that reads messages for a client. */
function composeReads(ports: LogicPorts, acks: AckBuffer, epochs: EpochWatch) {
  const { store, clock, random, defer, onFault, metrics, gap } = ports;
  const gate = new Gate({ clock, ...PULL_GATE });
  const desk = new ReadDesk({ gate, clock, random, onFault, metrics });
  const pull = new PullHandler({ store, acks, epochs, desk, clock, gap });
  const history = new HistoryHandler({ store, desk });
  const snapshot = new SnapshotHandler({ store, epochs, desk });
  const heads = new HeadReader({ store, epochs, defer, onFault, metrics });
  return { gate, desk, handlers: { pull, history, snapshot, heads } };
}

function composeWatch(
  { router, clock, log, metrics }: LogicPorts,
  entries: Entries,
  leases: EntryLeases,
  { onAnswered, memory }: { onAnswered: () => void; memory: RouterMemory },
) {
  return new GenerationWatch({
    router,
    clock,
    onAnswered,
    onForgotten: (wasKnown) => {
      if (wasKnown) memory.forgotten();
      metrics.reannounces.inc();
      log.warn({ entries: entries.size }, "the router may have forgotten routes: entries announce theirs again");
      leases.renewAll(entries);
      entries.reannounce();
    },
    onReachable: (isReachable) => log[isReachable ? "info" : "warn"]({ isReachable }, "router reachability changed"),
  });
}

/** Counts faults of the router beside reporting them. */
function routerFaults({ metrics, onFault }: LogicPorts): OnFault {
  return (op, error) => {
    metrics.routerFaults.inc({ op });
    onFault(`router ${op}`, error);
  };
}

/** Wires handlers to ports. */
export function composeLogic(ports: LogicPorts): LogicCore {
  const { store, router, clock, defer, onFault, log, metrics, leaseTtlMs } = ports;
  const entries = new Entries();
  const epochs = new EpochWatch({ store, clock, entries, onFault, log });
  const leases = new EntryLeases({
    ...{ store, router, logicName: ports.name, leaseTtlMs, clock, onFault, log, metrics },
    onFenced: (incarnation) => gone(incarnation),
  });
  const memory = new RouterMemory({ clock, isSame: () => watch.isSame() });
  const watch = composeWatch(ports, entries, leases, { onAnswered: () => routes.retryMissed(), memory });
  const presence = composePresence(ports, memory);
  const onRouterFault = routerFaults(ports);
  const delivering = composeDelivery(ports, entries, presence, {
    onRouterFault,
    onUncertain: () => watch.suspect(),
  });
  const { delivery, unreachable, routes, changes, ackWatch, kicks, gone, isIdle } = delivering;
  const onNoted = ({ userId, slot }: Session, inboxSeq: number): void => ackWatch.acknowledged(userId, slot, inboxSeq);
  const acks = new AckBuffer({ store, epochs, clock, onNoted, onFault, metrics });
  const commits = composeCommits(ports, epochs);
  const removeLater = (session: Session): void => routes.remove(session);
  const sysHead = (userId: string): number => broadcasts.board.headOf(userId);
  const lent = { entries, kicks, acks, epochs, memory, changes, removeLater, sysHead, onRouterFault };
  const identity = composeIdentity(ports, lent);
  const { sending, changing, large, send, gate } = composeSends(ports, {
    commits,
    delivery,
    epochs,
    cache: delivering.cache,
  });
  const reads = composeReads(ports, acks, epochs);
  const broadcasts = composeBroadcasts(ports, { entries, desk: reads.desk });
  const ways = { entries, routes: delivering.cache, onRouterFault, desk: reads.desk, changing, broadcasts };
  const chat = composeChat(ports, { ...ways, ...sending, large, presenceNote: presence.note });
  const lateHeads = new LateHeads({
    clock,
    delayMs: LATE_HEAD_MS,
    ask: (session) => reads.handlers.heads.ask(session),
  });
  const stopFencing = repeat(clock, Math.floor(leaseTtlMs / 3), () => leases.fenceDead(entries));
  const own = { leases, routes, send, acks, epochs, lateHeads, unreachable };
  const onFenced = (incarnation: string): void => {
    const stream = entries.find(incarnation);
    if (stream) leases.fence(stream);
    else gone(incarnation);
  };
  return {
    entries,
    server: new UplinkServer(entries, {
      ...identity.handlers,
      ...reads.handlers,
      ...own,
      presence: presence.desk,
      chat: chat.commands,
      onAttached: (entry) => {
        delivering.attached(entry);
        broadcasts.attached(entry);
      },
      ...{ clock, defer, log, metrics, tracer: ports.tracer },
    }),
    control: { store, router, onFenced, ackWatch, clock, startedMs: clock.nowMs(), log, metrics },
    admin: identity.admin,
    sending: { ...sending, clock, metrics, tracer: ports.tracer },
    acks,
    ackWatch,
    activity: identity.handlers.activity,
    presence,
    broadcasts,
    cards: changing.cards,
    start: async () => {
      ackWatch.start();
      await Promise.all([watch.start(), identity.handlers.guard.start(), broadcasts.board.start()]);
    },
    parked: () => delivery.parked,
    ping: async () => epochs.saw(await store.ping()),
    leave: () => {
      entries.leaving();
      delivery.close();
    },
    isIdle: () => {
      const isQuiet = gate.isIdle && commits.unanswered === 0 && reads.gate.running === 0;
      return isQuiet && isIdle() && [identity, presence, chat].every((part) => part.isIdle());
    },
    close: () => {
      watch.stop();
      epochs.stop();
      stopFencing();
      for (const part of [identity, presence, chat, acks, ackWatch, lateHeads, delivering.cache, delivery])
        part.close();
    },
  };
}
