// SPDX-License-Identifier: Apache-2.0
// A small correct messaging service on paper: it makes valid histories for the tests of the checker.
import {
  bodyHashOf,
  type FinalState,
  type HistoryEvent,
  type ReceiveEvent,
  type SendEvent,
  type StoredMessage,
} from "./history.ts";

/** One step of a run. Indexes are taken modulo what exists, so that any numbers make a valid run. */
export type Step =
  | { do: "send"; from: number; to: number; outcome: "ok" | "fail" | "info-stored" | "info-lost"; resends: number }
  | { do: "show"; device: number; count: number };

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
}

interface Device {
  uid: string;
  device: string;
  /** Inbox positions already shown. */
  cursor: number;
}

const DEVICES_PER_USER = 2;

/** Runs `steps` with `userCount` users of two devices each; at the end every device pulls to its head. */
export function sampleHistory(userCount: number, steps: readonly Step[]): Sample {
  const run = new PaperService(userCount);
  for (const step of steps) {
    if (step.do === "send") run.send(step);
    else run.show(step.device, step.count);
  }
  return run.finish();
}

class PaperService {
  readonly #events: HistoryEvent[] = [];
  readonly #users: string[];
  readonly #devices: Device[];
  readonly #conversations = new Map<string, number>();
  readonly #inboxes = new Map<string, Message[]>();
  readonly #stored: Message[] = [];
  #clockMs = 0;
  #sends = 0;

  constructor(userCount: number) {
    this.#users = Array.from({ length: userCount }, (_, i) => `user${i}`);
    this.#devices = this.#users.flatMap((uid) =>
      Array.from({ length: DEVICES_PER_USER }, (_, i) => ({ uid, device: `device${i}`, cursor: 0 })),
    );
  }

  send(step: Step & { do: "send" }): void {
    const from = step.from % this.#users.length;
    const to = (from + 1 + (step.to % (this.#users.length - 1))) % this.#users.length;
    const [uid, peer] = [this.#users[from] ?? "", this.#users[to] ?? ""];
    const cmid = `cmid${this.#sends++}`;
    const base = { uid, device: "device0", cmid, to: peer, bodyHash: bodyHashOf(Buffer.from(`body of ${cmid}`)) };
    this.#record({ op: "send", kind: "invoke", process: `client:${uid}`, ...base });
    const isStored = step.outcome === "ok" || step.outcome === "info-stored";
    const message = isStored ? this.#store(uid, peer, cmid, base.bodyHash) : undefined;
    if (step.outcome === "fail") this.#record({ op: "send", kind: "fail", process: `client:${uid}`, ...base });
    else if (step.outcome !== "ok" || !message)
      this.#record({ op: "send", kind: "info", process: `client:${uid}`, ...base });
    else
      for (let i = 0; i <= step.resends; i++)
        this.#record({ op: "send", kind: "ok", process: `client:${uid}`, ...base, ...place(message) });
  }

  show(device: number, count: number): void {
    const view = this.#devices[device % this.#devices.length];
    if (!view) return;
    const inbox = this.#inboxes.get(view.uid) ?? [];
    for (const message of inbox.slice(view.cursor, view.cursor + count)) {
      view.cursor++;
      const isOwn = message.sender === view.uid && view.device === "device0";
      if (isOwn) continue;
      const { uid, device: name, cursor: inboxSeq } = view;
      const process = `client:${uid}/${name}`;
      this.#record({ op: "receive", kind: "ok", process, uid, device: name, inboxSeq, ...message });
    }
  }

  finish(): Sample {
    for (const [i] of this.#devices.entries()) this.show(i, Number.MAX_SAFE_INTEGER);
    const devices = this.#devices.map(({ uid, device }) => ({ uid, device }));
    return { events: this.#events, final: { devices, stored: this.#stored } };
  }

  #store(uid: string, peer: string, cmid: string, bodyHash: string): Message {
    const conv = `c_${[uid, peer].sort().join("_")}`;
    const seq = (this.#conversations.get(conv) ?? 0) + 1;
    this.#conversations.set(conv, seq);
    const message = { conv, seq, messageId: `m_${conv}_${seq}`, sender: uid, cmid, bodyHash };
    this.#stored.push(message);
    for (const member of [uid, peer]) {
      const inbox = this.#inboxes.get(member) ?? [];
      inbox.push(message);
      this.#inboxes.set(member, inbox);
    }
    return message;
  }

  #record(event: Omit<SendEvent, "seed" | "atMs"> | Omit<ReceiveEvent, "seed" | "atMs">): void {
    this.#events.push({ seed: "sample", atMs: ++this.#clockMs, ...event } as HistoryEvent);
  }
}

function place(message: Message): Pick<SendEvent, "conv" | "seq" | "messageId"> {
  return { conv: message.conv, seq: message.seq, messageId: message.messageId };
}
