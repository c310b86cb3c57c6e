// SPDX-License-Identifier: Apache-2.0

import { faultsOf, inForceAtMs, sessionsOf } from "./check-sessions.ts";
import { showDevice } from "./checks.ts";
import { getOrMake } from "./get-or-make.ts";
import { type ChangeEvent, RECALLED, type ReceiveEvent, type ViewEvent } from "./history.ts";
import type { DeviceView, IndexedHistory, Send } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** One message that somebody wanted to change. */
interface Target {
  conv: string;
  seq: number;
  messageId: string;
  sender: string;
  /** Between two, who both stay: others may have left before the change. */
  isDirect: boolean;
  /** Contents that were asked for, by version. */
  wanted: Map<number, Set<string>>;
  /** The highest version that is acknowledged. */
  ackedVersion: number;
  /** When a recall was acknowledged; Infinity when none was. */
  recalledAtMs: number;
  /** As the store has it. */
  stored: Form | undefined;
  /** The device that sent it: it shows the message without being told. */
  sentBy: string;
}

/** What is shown of a message. */
interface Form {
  version: number;
  bodyHash: string;
}

type Targets = Map<string, Map<number, Target>>;

const showForm = ({ version }: Form): string => (version === RECALLED ? "recalled" : `version ${version}`);
const showTarget = ({ conv, seq }: Target): string => `${conv}:${seq}`;

/**
 * C4: in the end every settled device shows a message in one form, the newest there is, and no device ever goes back to an
 * older one. C5: what is shown of a changed message somebody asked for. C11: a session that begins after a recall was
 * acknowledged is not shown what was recalled; a fault in between may hold a delivery back. O(n).
 */
export function checkChanges(index: IndexedHistory, report: Report): void {
  const targets = targetsOf(index);
  if (targets.size === 0) return;
  for (const ofConversation of targets.values())
    for (const target of ofConversation.values()) checkStored(target, report);
  const finals = new Map<string, Form>();
  for (const view of index.views) noteView(view, targets, finals, report);
  const checkText = recalledTexts(index, report);
  const changeOf = new Map(index.changes.map(({ event, send }) => [send, event]));
  for (const view of index.devices) {
    for (const [target, { receipts, toldVersion }] of copiesOf(view, targets, changeOf)) {
      for (const event of receipts) {
        examineForm(target, formOf(event), `on ${showDevice(view)}`, report);
        checkText(target, event);
      }
      if (!view.isSettled) continue;
      const first = receipts[0] ? formOf(receipts[0]) : AS_SENT;
      const last = newest(first, finals.get(keyOf(view, target)));
      compareFinal(target, { last, toldVersion }, view, report);
    }
  }
}

const AS_SENT: Form = { version: 1, bodyHash: "" };

function formOf({ version = 1, bodyHash }: ReceiveEvent): Form {
  return { version, bodyHash };
}

function targetsOf(index: IndexedHistory): Targets {
  const targets: Targets = new Map();
  for (const { event, send } of index.changes) {
    const { conv, seq, messageId, uid: sender, version, contentHash } = event;
    const ofConversation = getOrMake<string, Map<number, Target>>(targets, conv, () => new Map());
    const target = getOrMake<number, Target>(ofConversation, seq, () => ({
      ...{ conv, seq, messageId, sender, isDirect: !event.to.startsWith("#"), wanted: new Map(), ackedVersion: 1 },
      ...{ recalledAtMs: Number.POSITIVE_INFINITY, stored: undefined, sentBy: "" },
    }));
    if (send.hasFailed) continue;
    getOrMake<number, Set<string>>(target.wanted, version, () => new Set()).add(contentHash);
    if (send.ackedAtMs === undefined) continue;
    target.ackedVersion = Math.max(target.ackedVersion, version);
    if (version === RECALLED) target.recalledAtMs = Math.min(target.recalledAtMs, send.ackedAtMs);
  }
  const find = (at: { conv: string; seq: number }): Target | undefined => targets.get(at.conv)?.get(at.seq);
  for (const { row } of index.stored ?? []) {
    const target = find(row);
    if (target) target.stored = { version: row.version ?? 1, bodyHash: row.bodyHash };
  }
  for (const send of index.sends)
    for (const ack of send.acks) {
      const target = find(ack);
      if (target && isOf(send, target)) target.sentBy = showDevice(send);
    }
  return targets;
}

/** The send of the message itself, not a change that is stored beside it. */
function isOf({ uid, isSilent }: Send, { sender }: Target): boolean {
  return uid === sender && !isSilent;
}

function keyOf({ uid, device }: { uid: string; device: string }, { conv, seq }: { conv: string; seq: number }): string {
  return `${uid}/${device} ${conv}:${seq}`;
}

function checkStored(target: Target, report: Report): void {
  const { stored, ackedVersion } = target;
  if (!stored) return;
  examineForm(target, stored, "in the store", report);
  if (stored.version < ackedVersion)
    reporter("C4", report)(
      "old version",
      `${showTarget(target)} is ${showForm(stored)} in the store, and a later one was acknowledged`,
    );
}

function noteView(view: ViewEvent, targets: Targets, finals: Map<string, Form>, report: Report): void {
  const key = keyOf(view, view);
  const before = finals.get(key);
  if (before && before.version > view.version)
    reporter("C4", report)("went back", `${key} was ${showForm(before)} and became ${showForm(view)}`);
  finals.set(key, view);
  const target = targets.get(view.conv)?.get(view.seq);
  if (target) examineForm(target, view, `on ${showDevice(view)}`, report);
  else reporter("C5", report)("never changed", `${key} became ${showForm(view)}, and nobody changed it`);
}

function examineForm(target: Target, form: Form, where: string, report: Report): void {
  if (form.version === 1 || target.wanted.get(form.version)?.has(form.bodyHash)) return;
  const what = `${showTarget(target)} is ${showForm(form)} ${where}`;
  reporter("C5", report)("altered", `${what} with a content that nobody gave it`);
}

/** A message on a device. */
interface Copy {
  /** As it came; of its own ones nothing may have come. */
  receipts: ReceiveEvent[];
  /** The highest of the changes that came. */
  toldVersion: number;
}

/** Messages of the device that somebody wanted to change. */
function copiesOf(view: DeviceView, targets: Targets, changeOf: ReadonlyMap<Send, ChangeEvent>): Map<Target, Copy> {
  const copies = new Map<Target, Copy>();
  const copyOf = (target: Target): Copy =>
    getOrMake<Target, Copy>(copies, target, () => ({ receipts: [], toldVersion: 1 }));
  const told: ChangeEvent[] = [];
  for (const [at, event] of view.shown.entries()) {
    const target = targets.get(event.conv)?.get(event.seq);
    if (target) copyOf(target).receipts.push(event);
    const send = view.items[at]?.send;
    const change = send?.isSilent ? changeOf.get(send) : undefined;
    if (change) told.push(change);
  }
  const name = showDevice(view);
  for (const ofConversation of targets.values())
    for (const target of ofConversation.values()) if (target.sentBy === name) copyOf(target);
  for (const { conv, seq, version } of told) {
    const target = targets.get(conv)?.get(seq);
    const copy = target && copies.get(target);
    if (copy) copy.toldVersion = Math.max(copy.toldVersion, version);
  }
  return copies;
}

function newest(first: Form, last: Form | undefined): Form {
  return last && last.version >= first.version ? last : first;
}

function compareFinal(
  { isDirect, ackedVersion, stored, ...target }: Target,
  { last, toldVersion }: { last: Form; toldVersion: number },
  view: DeviceView,
  report: Report,
): void {
  const violate = reporter("C4", report);
  const name = `${target.conv}:${target.seq} is ${showForm(last)} on ${showDevice(view)} in the end`;
  const wanted = isDirect ? Math.max(toldVersion, ackedVersion) : toldVersion;
  if (last.version < wanted) violate("old version", `${name}, and ${showForm({ ...last, version: wanted })} was made`);
  if (!stored) return;
  const isOther = stored.version === last.version ? stored.bodyHash !== last.bodyHash : isDirect;
  if (isOther && (stored.version > 1 || last.version > 1))
    violate("old version", `${name}, and ${showForm(stored)} in the store`);
}

/** A login takes no longer, where only its end was recorded. */
const LOGIN_MS = 10_000;

/** Tells of texts that came in a session which began when their recall was in force. */
function recalledTexts(index: IndexedHistory, report: Report): (target: Target, event: ReceiveEvent) => void {
  const violate = reporter("C11", report);
  const sessions = sessionsOf(index);
  const faults = faultsOf(index);
  return (target, { uid, device, sid = "", version = 1 }) => {
    const session = sessions.get(sid);
    if (!session || version === RECALLED || target.recalledAtMs === Number.POSITIVE_INFINITY) return;
    const { begunAtMs, openedAtMs } = session;
    const fromMs = Number.isFinite(begunAtMs) ? begunAtMs : openedAtMs - LOGIN_MS;
    if (fromMs > inForceAtMs(faults, target.recalledAtMs, fromMs))
      violate("recalled", `${showTarget(target)} was shown to ${uid}/${device} in a session long after its recall`);
  };
}
