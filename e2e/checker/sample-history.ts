// SPDX-License-Identifier: Apache-2.0
// A small correct messaging service on paper: it makes valid histories for the tests of the checker.
import {
  bodyHashOf,
  type FinalState,
  type GroupFact,
  type HistoryEvent,
  RECALLED,
  type SendEvent,
  type StoredMessage,
  type WithoutBase,
} from "./history.ts";

/** One step of a run. Indexes are taken modulo what exists, so that any numbers make a valid run. */
export type Step =
  | { do: "send"; from: number; to: number; outcome: "ok" | "fail" | "info-stored" | "info-lost"; resends: number }
  | { do: "show"; device: number; count: number }
  /** Of any message that is stored; `late`: by a device that shows an older version, which is refused. */
  | { do: "change"; message: number; kind: "edit" | "recall"; outcome: "ok" | "late" | "info-stored" | "info-lost" }
  /** In the one group, which the first of these makes. Whoever is named second joins or leaves it, or writes there. */
  | { do: "group"; what: "join" | "leave" | "send"; user: number };

export interface Sample {
  events: HistoryEvent[];
  final: FinalState & { stored: StoredMessage[] };
}

interface Message {
  conv: string;
  seq: number;
  messageId: string;
  sender: string;
  cmid: string;
  bodyHash: string;
  version?: number;
  group?: GroupFact;
  /** As of its send. */
  to: string;
  readers: readonly string[];
  /** Its sender's device knows it. */
  isAcked: boolean;
  /** What the message tells the change of, and to what. */
  change?: { target: Message; version: number; contentHash: string };
}

interface Device {
  uid: string;
  device: string;
  /** Inbox positions already shown. */
  cursor: number;
  /** Versions shown, of changed messages. */
  versions: Map<Message, number>;
}

const DEVICES_PER_USER = 2;
const GROUP = "g_1";

/** Runs `steps` with `userCount` users of two devices each; at the end every device pulls to its head. */
export function sampleHistory(userCount: number, steps: readonly Step[]): Sample {
  const run = new PaperService(userCount);
  for (const step of steps) run.take(step);
  return run.finish();
}

class PaperService {
  readonly #events: HistoryEvent[] = [];
  readonly #users: string[];
  readonly #devices: Device[];
  readonly #conversations = new Map<string, number>();
  readonly #inboxes = new Map<string, Message[]>();
  readonly #stored: Message[] = [];
  readonly #members = new Set<string>();
  #groupVersion = 0;
  #clockMs = 0;
  #sends = 0;

  constructor(userCount: number) {
    this.#users = Array.from({ length: userCount }, (_, i) => `user${i}`);
    this.#devices = this.#users.flatMap((uid) =>
      Array.from({ length: DEVICES_PER_USER }, (_, i) => ({
        ...{ uid, device: `device${i}`, cursor: 0 },
        versions: new Map<Message, number>(),
      })),
    );
  }

  take(step: Step): void {
    if (step.do === "send") this.#send(step);
    else if (step.do === "show") this.#show(step.device, step.count);
    else if (step.do === "change") this.#change(step);
    else this.#group(step);
  }

  #send(step: Step & { do: "send" }): void {
    const from = step.from % this.#users.length;
    const to = (from + 1 + (step.to % (this.#users.length - 1))) % this.#users.length;
    const [uid, peer] = [this.#users[from] ?? "", this.#users[to] ?? ""];
    const cmid = `cmid${this.#sends++}`;
    const base = { uid, device: "device0", cmid, to: peer, bodyHash: bodyHashOf(Buffer.from(`body of ${cmid}`)) };
    const process = `client:${uid}`;
    this.#record({ op: "send", kind: "invoke", process, ...base });
    const isStored = step.outcome === "ok" || step.outcome === "info-stored";
    const conv = `c_${[uid, peer].sort().join("_")}`;
    const what = {
      conv,
      sender: uid,
      cmid,
      bodyHash: base.bodyHash,
      to: peer,
      readers: [uid, peer],
      isAcked: step.outcome === "ok",
    };
    const message = isStored ? this.#store(what) : undefined;
    if (step.outcome === "fail") this.#record({ op: "send", kind: "fail", process, ...base });
    else if (step.outcome !== "ok" || !message) this.#record({ op: "send", kind: "info", process, ...base });
    else
      for (let i = 0; i <= step.resends; i++)
        this.#record({ op: "send", kind: "ok", process, ...base, ...place(message) });
  }

  /** By the first device of the sender. */
  #change({ message, kind, outcome }: Step & { do: "change" }): void {
    const own = this.#stored.filter(({ version, group, change, sender, conv }) => {
      const isPlain = version !== RECALLED && !group && !change;
      return isPlain && (conv !== GROUP || this.#members.has(sender));
    });
    const target = own[message % Math.max(1, own.length)];
    if (!target) return;
    const { conv, seq, messageId, sender: uid, to, version: current = 1 } = target;
    const cmid = `cmid${this.#sends++}`;
    const version = kind === "recall" ? RECALLED : current + (outcome === "late" ? 0 : 1);
    const contentHash = kind === "recall" ? "" : bodyHashOf(Buffer.from(`edit ${cmid}`));
    const bodyHash = bodyHashOf(Buffer.from(`${messageId} ${version}`));
    const asked = { uid, device: "device0", cmid, to, conv, seq, messageId, version, contentHash, bodyHash };
    const process = `client:${uid}`;
    this.#record({ op: "change", kind: "invoke", process, ...asked });
    if (outcome === "late" || outcome === "info-lost") {
      this.#record({ op: "change", kind: outcome === "late" ? "fail" : "info", process, ...asked });
      return;
    }
    target.version = version;
    target.bodyHash = contentHash;
    const readers = conv === GROUP ? [...this.#members] : target.readers;
    const change = { target, version, contentHash };
    const { seq: eventSeq } = this.#store({ conv, sender: uid, cmid, bodyHash, to, readers, isAcked: true, change });
    this.#record({ op: "change", kind: outcome === "ok" ? "ok" : "info", process, ...asked, eventSeq });
  }

  #group({ what, user }: Step & { do: "group" }): void {
    const [owner = "", ...others] = this.#users;
    if (this.#members.size === 0) this.#groupChange("created", owner, others.slice(0, 1));
    if (what === "send") {
      const members = [...this.#members];
      this.#groupSend(members[user % members.length] ?? owner);
      return;
    }
    const named = others[user % others.length] ?? "";
    if (this.#members.has(named) === (what === "join")) return;
    this.#groupChange(what === "join" ? "invited" : "removed", owner, [named]);
  }

  #groupChange(kind: string, uid: string, users: readonly string[]): void {
    const before = [...this.#members];
    if (kind === "created") this.#members.add(uid);
    for (const one of users) this.#members[kind === "removed" ? "delete" : "add"](one);
    const readers = [...new Set([...before, ...this.#members])];
    const cmid = `cmid${this.#sends++}`;
    const group = { kind, users, version: ++this.#groupVersion, members: this.#members.size };
    const base = { uid, device: "device0", cmid, action: kind, users, process: `client:${uid}` };
    this.#record({ op: "group", kind: "invoke", ...base, conv: kind === "created" ? "" : GROUP });
    const bodyHash = bodyHashOf(Buffer.from(JSON.stringify(group)));
    const { seq } = this.#store({
      conv: GROUP,
      sender: uid,
      cmid,
      bodyHash,
      to: `#${GROUP}`,
      readers,
      isAcked: true,
      group,
    });
    this.#record({ op: "group", kind: "ok", ...base, conv: GROUP, seq });
  }

  #groupSend(uid: string): void {
    const cmid = `cmid${this.#sends++}`;
    const to = `#${GROUP}`;
    const base = { uid, device: "device0", cmid, to, bodyHash: bodyHashOf(Buffer.from(`body of ${cmid}`)) };
    this.#record({ op: "send", kind: "invoke", process: `client:${uid}`, ...base });
    const what = {
      conv: GROUP,
      sender: uid,
      cmid,
      bodyHash: base.bodyHash,
      to,
      readers: [...this.#members],
      isAcked: true,
    };
    const message = this.#store(what);
    this.#record({ op: "send", kind: "ok", process: `client:${uid}`, ...base, ...place(message) });
  }

  #show(device: number, count: number): void {
    const view = this.#devices[device % this.#devices.length];
    if (!view) return;
    const inbox = this.#inboxes.get(view.uid) ?? [];
    for (const message of inbox.slice(view.cursor, view.cursor + count)) {
      view.cursor++;
      const isOwn = message.sender === view.uid && view.device === "device0";
      if (!isOwn || message.change || message.group) this.#receive(view, message);
      this.#look(view, message);
    }
  }

  #receive({ uid, device, cursor: inboxSeq }: Device, message: Message): void {
    const { conv, seq, messageId, sender, cmid, bodyHash, version } = message;
    const what = { conv, seq, messageId, sender, cmid, bodyHash, ...(version === undefined ? {} : { version }) };
    this.#record({ op: "receive", kind: "ok", process: `client:${uid}/${device}`, uid, device, inboxSeq, ...what });
  }

  /** What the device shows of a message from now on. */
  #look(view: Device, { change, version = 1, ...message }: Message): void {
    const { uid, device } = view;
    const isOwn = message.sender === uid && device === "device0";
    if (!change) {
      const shown = this.#stored.find(({ messageId }) => messageId === message.messageId);
      if (shown && !isOwn) view.versions.set(shown, version);
      return;
    }
    const { target } = change;
    const isKnown = view.versions.has(target) || (target.isAcked && target.sender === uid && device === "device0");
    if (!isKnown || (view.versions.get(target) ?? 1) >= change.version) return;
    view.versions.set(target, change.version);
    const { conv, seq, messageId } = target;
    const form = { version: change.version, bodyHash: change.contentHash };
    const process = `client:${uid}/${device}`;
    this.#record({ op: "view", kind: "ok", process, uid, device, conv, seq, messageId, ...form });
  }

  finish(): Sample {
    for (const [i] of this.#devices.entries()) this.#show(i, Number.MAX_SAFE_INTEGER);
    const devices = this.#devices.map(({ uid, device }) => ({ uid, device }));
    const stored = this.#stored.map(
      ({ to: _to, readers: _readers, isAcked: _isAcked, change: _change, ...row }): StoredMessage => row,
    );
    return { events: this.#events, final: { devices, stored } };
  }

  #store(what: Omit<Message, "seq" | "messageId">): Message {
    const { conv } = what;
    const seq = (this.#conversations.get(conv) ?? 0) + 1;
    this.#conversations.set(conv, seq);
    const message = { ...what, seq, messageId: `m_${conv}_${seq}` };
    this.#stored.push(message);
    for (const member of what.readers) {
      const inbox = this.#inboxes.get(member) ?? [];
      inbox.push(message);
      this.#inboxes.set(member, inbox);
    }
    return message;
  }

  #record(event: WithoutBase): void {
    this.#events.push({ seed: "sample", atMs: ++this.#clockMs, ...event } as HistoryEvent);
  }
}

function place(message: Message): Required<Pick<SendEvent, "conv" | "seq" | "messageId">> {
  return { conv: message.conv, seq: message.seq, messageId: message.messageId };
}
