// SPDX-License-Identifier: Apache-2.0
import { tenantOf } from "#lib/tenant.ts";
import { leaseKey, parseRoute, routeKey } from "../../logic/router/keys.ts";
import { checkHistory, type HistoryReport } from "../checker/check-history.ts";
import { NOTIFY_LIMITS_MS } from "../checker/check-notify.ts";
import type { FinalState, HealedState, HistoryEvent, StoredMessage } from "../checker/history.ts";
import type { Violation } from "../checker/violation.ts";
import { factsOf } from "../workload/message-facts.ts";
import { ABROAD, type BroadcastOp, Herald, isBroadcastOp } from "./broadcast-ops.ts";
import type { Device } from "./device.ts";
import { SLOW_LOOK_MS } from "./extlogic-process.ts";
import { type Fleet, type People, peopleOf, startFleet } from "./fleet.ts";
import { isGroupOp, performGroupOp } from "./group-ops.ts";
import { Nemesis } from "./nemesis.ts";
import { type Op, type Plan, planOf } from "./plan.ts";
import { Restore } from "./restore.ts";
import { seal } from "./seal.ts";
import { EVERYBODY, World } from "./world.ts";

/** Something done at one moment beside the plan. */
export interface Interference {
  atMs: number;
  act(world: World, fleet: Fleet, nemesis: Nemesis): void;
}

/** What one seed came to. */
export interface RunResult {
  seed: number;
  ops: number;
  faults: number;
  steps: number;
  /** Of the checker, and of the simulation itself (`sim`). */
  violations: (Violation | { check: "sim"; kind: string; message: string })[];
  history: HistoryEvent[];
  report: HistoryReport;
}

/** Without the reconciler: an intent of a dead extlogic is taken over after 30 s, at the next look 15 s later. */
const FAST_WAY_LIMITS_MS = { component: 50_000 };
/** An application can send so long after it was opened. */
const OPENING_MS = 1;
/** The wheel does not wait so long. */
const DOZE_MS = 7000;
/** Without a fault, whoever is away is pushed to at the next look of extlogic. */
const AWAY_LIMIT_MS = 3000;
/** Without the reconciler no pipeline may pass its deadline of 500 ms by itself: an intent in it would be lost. */
const FAST_WAY_SLOW_MS = 100;
/** Leases end, keepalives strike, clients come back: longer than any of them. */
const SETTLE_MS = 42_000;
/** A device that cannot pull its inbox in this time does not get it. Logins that came too often are refused for 10 min at most. */
const PULL_MS = 660_000;
const POLL_MS = 50;

/** Runs one seed to its end. Deterministic: the same seed and plan give the same history. */
export async function runSeed(seed: number, plan: Plan = planOf(seed), also?: Interference): Promise<RunResult> {
  const people = peopleOf(plan);
  const world = new World(seed, people.users, people.chatters);
  const unseal = seal(world.kernel);
  const onRejection = (reason: unknown): void =>
    world.kernel.breach(`unhandled: ${reason instanceof Error ? reason.stack : String(reason)}`);
  process.on("unhandledRejection", onRejection);
  try {
    const restore = plan.restore && new Restore(world, plan.restore);
    const final = await drive(world, plan, people, also);
    const isCalm = also === undefined && plan.faults.length === 0 && !restore;
    return resultOf(world, plan, final, { isCalm, history: restore?.judged(world.history) ?? world.history });
  } finally {
    unseal();
    process.off("unhandledRejection", onRejection);
  }
}

async function drive(world: World, plan: Plan, people: People, also: Interference | undefined): Promise<FinalState> {
  const { kernel } = world;
  const fleet = startFleet(world, plan, people);
  const nemesis = new Nemesis(world, fleet);
  const herald = new Herald(world, fleet);
  if (plan.faults.length === 0) world.network.slowMaxMs = 0;
  else if (!plan.hasReconciler) world.network.slowMaxMs = FAST_WAY_SLOW_MS;
  const isHere = isHereWith(plan, fleet, world);
  for (const op of plan.ops)
    kernel.after(op.atMs, undefined, () => {
      if (isBroadcastOp(op)) herald.perform(op);
      else perform(world, { ...fleet, devices: fleet.devices.filter(isHere) }, op);
    });
  if (fleet.foreigner !== undefined)
    kernel.after(OPENING_MS, undefined, () => {
      for (const device of fleet.devices) if (device.uid === fleet.foreigner) device.open();
    });
  for (const fault of plan.faults) kernel.after(fault.atMs, undefined, () => nemesis.apply(fault));
  if (also) kernel.after(also.atMs, undefined, () => also.act(world, fleet, nemesis));
  await kernel.run(plan.activeMs);
  nemesis.heal();
  const healedAtMs = kernel.nowMs;
  await kernel.run(healedAtMs + (plan.hasReconciler ? SETTLE_MS : FAST_WAY_LIMITS_MS.component + 5000));
  const healed = readHealed(world, fleet, healedAtMs);
  const devices = await pullAll(world, fleet);
  return { devices, stored: await readStored(world, fleet), healed };
}

/** Who does something. */
function isHereWith(
  { newcomerAtMs = 0 }: Plan,
  { newcomer, hermit, foreigner }: Fleet,
  { kernel }: World,
): (device: Device) => boolean {
  return ({ uid }) => uid !== hermit && uid !== foreigner && (uid !== newcomer || kernel.nowMs >= newcomerAtMs);
}

/** Whoever sends opens the application. */
function perform(world: World, fleet: Fleet, op: Exclude<Op, BroadcastOp>): void {
  const { devices, hermit, chatters } = fleet;
  if (isGroupOp(op)) {
    performGroupOp(world, { devices, users: chatters, hermit }, op);
    return;
  }
  const device = devices[op.device % devices.length] as Device;
  const { uid } = device;
  switch (op.kind) {
    case "send to all":
      device.open();
      device.send(`#${EVERYBODY}`);
      return;
    case "send to hermit":
      device.open();
      world.kernel.after(OPENING_MS, undefined, () => device.send(hermit ?? uid));
      return;
    case "edit":
    case "recall":
      device.open();
      world.kernel.after(OPENING_MS, undefined, () => {
        // Now and then on all devices of the user, the last message: one of them wins.
        const isDuel = op.to % 3 === 0;
        for (const one of devices.filter((other) => (isDuel ? other.uid === uid : other === device)))
          one.change(op.kind, isDuel ? 0 : op.to);
      });
      return;
    case "remove":
      void world.database.removeMember(EVERYBODY, uid);
      world.record({ op: "membership", kind: "remove", process: "admin", uid, conv: EVERYBODY });
      return;
    case "revoke":
      void world.database.revokeUser(uid, world.kernel.wallMs + 1);
      world.record({ op: "revoke", kind: "ok", process: "admin", uid });
      return;
    case "open":
      device.open();
      return;
    case "close":
      device.close();
      return;
    case "kill":
      device.kill();
      return;
    case "reconnect":
      device.loseNetwork(false);
      return;
    case "doze":
      // One of a user's at a time: two would ask for a push each at the same moment. And none whose slot another one may
      // take meanwhile: it would show late what it was sent before.
      if (devices.some((one) => one.uid === uid && (one.isDozing || (one.slot === device.slot && one !== device))))
        return;
      device.doze(DOZE_MS);
      world.record({ op: "fault", kind: "info", process: device.name, what: "dozes", faultClass: "none" });
      return;
    case "leave":
    case "die": {
      const leaver = othersThan(uid, chatters)(op.to);
      for (const one of devices.filter((other) => other.uid === leaver)) {
        if (op.kind === "leave") one.close();
        else one.die();
      }
      return;
    }
    case "send":
      device.open();
      device.send(othersThan(uid, chatters)(op.to), op.bytes);
  }
}

function othersThan(uid: string, users: readonly string[]): (number: number) => string {
  const others = users.filter((user) => user !== uid);
  return (number) => others[number % others.length] as string;
}

/** Routes that count as online, and what the entries hold. */
function readHealed({ kernel, redis: { keys } }: World, { users, entries }: Fleet, healedAtMs: number): HealedState {
  const routes = users.flatMap((uid) =>
    [...(keys.hash(routeKey(uid)) ?? [])].flatMap(([slot, value]) => {
      const route = parseRoute(value);
      const isLive = route && keys.get(leaseKey(route.incarnation)) !== undefined;
      return isLive ? [{ uid, slot, session: `${route.incarnation}/${route.conn}` }] : [];
    }),
  );
  const sessions = entries.flatMap((entry) => entry.sessions());
  return { healedAtMs, readAtMs: kernel.nowMs, backlog: [], routes, sessions };
}

/** Every device, one of a slot after the other, pulls to the head of its inbox. */
async function pullAll(world: World, { devices, users }: Fleet): Promise<{ uid: string; device: string }[]> {
  const { kernel, database } = world;
  const settled: { uid: string; device: string }[] = [];
  const turns = Math.max(...users.map((uid) => devices.filter((device) => device.uid === uid).length));
  for (let turn = 0; turn < turns; turn++) {
    for (const device of devices) device.close();
    await kernel.run(kernel.nowMs + 500);
    const chosen = users.flatMap((uid) => devices.filter((device) => device.uid === uid).slice(turn, turn + 1));
    for (const device of chosen) device.open();
    const { heads } = await database.inboxHeads(users);
    const places = await broadcastHeads(world);
    const isAtHead = (device: Device): boolean =>
      device.isOpen &&
      device.cursor >= (heads.get(device.uid) ?? 0) &&
      device.place >= (places.get(tenantOf(device.uid)) ?? 0);
    const isDone = (): boolean => chosen.every(isAtHead);
    const untilMs = kernel.nowMs + PULL_MS;
    while (!isDone() && kernel.nowMs < untilMs) await kernel.run(kernel.nowMs + POLL_MS);
    for (const device of chosen) {
      if (!device.isOpen) world.note(device.name, "could not log in at the end");
      settled.push({ uid: device.uid, device: device.device });
    }
  }
  return settled;
}

/** Newest broadcast in force, by tenant. */
async function broadcastHeads({ database: { broadcasts } }: World): Promise<Map<string, number>> {
  const heads = new Map<string, number>();
  for (const tenant of ["", ABROAD]) heads.set(tenant, (await broadcasts.open(tenant)).head);
  return heads;
}

/** The message rows, by the inboxes of all users. */
async function readStored(world: World, { users }: Fleet): Promise<StoredMessage[]> {
  const rows = new Map<string, StoredMessage>();
  for (const userId of users) {
    const limit = Number.MAX_SAFE_INTEGER;
    const { events } = await world.database.readInbox({ userId, cursor: 0, limit, limitBytes: limit });
    for (const event of events) {
      const { conversationId: conv, convSeq: seq, messageId, sender, clientMessageId: cmid } = event;
      rows.set(`${conv} ${seq} ${messageId}`, { conv, seq, messageId, sender, cmid, ...factsOf(event) });
    }
  }
  return [...rows.values()];
}

/** What a run came to; `isCalm`: nothing was broken, no push may come twice. */
function resultOf(
  { kernel, firedTwice }: World,
  plan: Plan,
  final: FinalState,
  { isCalm, history }: { isCalm: boolean; history: HistoryEvent[] },
): RunResult {
  const report = checkHistory(history, final, {
    expectsNotice: true,
    ...(isCalm ? { arePushesSingle: true, awayLimitMs: AWAY_LIMIT_MS } : {}),
    notifyLimitsMs: {
      ...(isCalm ? {} : { none: NOTIFY_LIMITS_MS.none + SLOW_LOOK_MS }),
      ...(plan.hasReconciler ? {} : FAST_WAY_LIMITS_MS),
    },
  });
  const breaches = kernel.breaches.map((message) => ({ check: "sim" as const, kind: "breach", message }));
  if (isCalm) for (const message of firedTwice) breaches.push({ check: "sim", kind: "fired twice", message });
  return {
    seed: kernel.seed,
    ops: plan.ops.length,
    faults: plan.faults.length + (plan.restore ? 1 : 0),
    steps: kernel.steps,
    violations: [...report.violations, ...breaches],
    history,
    report,
  };
}
