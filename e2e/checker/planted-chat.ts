// SPDX-License-Identifier: Apache-2.0
// Histories of changed messages and of a group with one thing wrong.
import { type GroupFact, RECALLED, type ReceiveEvent, type StoredMessage, type ViewEvent } from "./history.ts";
import type { Planted } from "./planted.ts";
import { type Sample, type Step, sampleHistory } from "./sample-history.ts";

/**
 * Correct: a message that is edited after everybody saw it, then recalled; and one that is edited before it is shown.
 * A group of two, which a third one joins and leaves while others write.
 */
export function chat(): Sample {
  const send = { do: "send", from: 0, to: 0, outcome: "ok", resends: 0 } as const;
  const show: Step[] = Array.from({ length: 6 }, (_, device) => ({ do: "show", device, count: 99 }));
  const group = (what: "join" | "leave" | "send", user: number): Step => ({ do: "group", what, user });
  return sampleHistory(3, [
    send,
    ...show,
    { do: "change", message: 0, kind: "edit", outcome: "ok" },
    ...show,
    { do: "change", message: 0, kind: "recall", outcome: "ok" },
    ...show,
    send,
    { do: "change", message: 0, kind: "edit", outcome: "ok" },
    ...[group("send", 0), group("join", 1), group("send", 1), group("leave", 1), group("send", 0)],
  ]);
}

function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error("the anomaly does not fit its history");
  return item;
}

const viewsOf = (s: Sample, uid: string): ViewEvent[] =>
  s.events.filter((event) => event.op === "view").filter((event) => event.uid === uid);
const shownOf = (s: Sample, uid: string): ReceiveEvent[] =>
  s.events.filter((event) => event.op === "receive").filter((event) => event.uid === uid);
const remove = (s: Sample, event: Sample["events"][number]): void => void s.events.splice(s.events.indexOf(event), 1);
const inGroup = ({ conv }: { conv: string }): boolean => conv.startsWith("g_");
const eventRow = (s: Sample, kind: string): StoredMessage & { group: GroupFact } =>
  first(s.final.stored.flatMap((row) => (row.group?.kind === kind ? [{ ...row, group: row.group }] : [])));

/** In {@link chat}. */
export const CHAT_PLANTED: readonly Planted[] = [
  {
    check: "C4",
    kind: "old version",
    name: "one device shows the edited message for ever",
    plant: (s) => remove(s, first(viewsOf(s, "user1").filter(({ version }) => version === RECALLED))),
  },
  {
    check: "C4",
    kind: "old version",
    name: "a device shows another text as the newest version",
    plant: (s) => {
      const { seq } = first(s.final.stored.filter(({ version }) => version === 2));
      first(s.final.stored.filter((row) => row.seq === seq)).bodyHash = "another";
    },
  },
  {
    check: "C4",
    kind: "went back",
    name: "a recalled message is shown again",
    plant: (s) => {
      const edited = first(viewsOf(s, "user1").filter(({ version }) => version === 2));
      s.events.push({ ...edited, atMs: Number.MAX_SAFE_INTEGER });
    },
  },
  {
    check: "C5",
    kind: "altered",
    name: "a text that no edit had",
    plant: (s) => {
      first(viewsOf(s, "user1").filter(({ version }) => version === 2)).bodyHash = "nobody's";
    },
  },
  {
    check: "C5",
    kind: "never changed",
    name: "a message changes by itself",
    plant: (s) => s.events.push({ ...first(viewsOf(s, "user1")), seq: 3, messageId: "m_3" }),
  },
  {
    check: "C11",
    kind: "recalled",
    name: "a session that begins a minute after the recall gets the text",
    plant: (s) => {
      const atMs = 100_000;
      const session = { seed: "sample", process: "planted", uid: "user1", device: "new", slot: "web" };
      s.events.push({ ...session, op: "session", kind: "invoke", sid: "", atMs });
      s.events.push({ ...session, op: "session", kind: "open", sid: "pod.1/9", atMs: atMs + 1 });
      const text = first(shownOf(s, "user1").filter(({ seq }) => seq === 1));
      s.events.push({ ...text, device: "new", sid: "pod.1/9", atMs: atMs + 2 });
    },
  },
  {
    check: "C1",
    kind: "not shown",
    name: "an edit of which one device is never told",
    plant: (s) => remove(s, first(shownOf(s, "user1").filter(({ seq }) => seq === 2))),
  },
  {
    check: "C10",
    kind: "missed",
    name: "a member of a group lacks a message of its membership",
    plant: (s) => remove(s, first(shownOf(s, "user2").filter(inGroup))),
  },
  {
    check: "C10",
    kind: "delivered",
    name: "an ex-member is shown what was written after its removal",
    plant: (s) => {
      const { inboxSeq, seq } = shownOf(s, "user2").findLast(inGroup) ?? first<ReceiveEvent>([]);
      const later = first(shownOf(s, "user1").filter((event) => inGroup(event) && event.seq > seq));
      s.events.push({ ...later, uid: "user2", inboxSeq: inboxSeq + 1 });
    },
  },
  {
    check: "C10",
    kind: "delivered",
    name: "who joins is shown what was written before",
    plant: (s) => {
      const before = first(shownOf(s, "user1").filter((event) => inGroup(event) && event.seq === 2));
      s.events.push({ ...before, uid: "user2" });
    },
  },
  {
    check: "C10",
    kind: "accepted",
    name: "a stranger's message is stored in a group",
    plant: (s) => {
      first(s.final.stored.filter((row) => inGroup(row) && !row.group)).sender = "mallory";
    },
  },
  {
    check: "C10",
    kind: "not allowed",
    name: "a member removes another one",
    plant: (s) => {
      const row = eventRow(s, "removed");
      const at = s.final.stored.findIndex(({ messageId }) => messageId === row.messageId);
      s.final.stored[at] = { ...row, sender: "user1" };
    },
  },
  {
    check: "C10",
    kind: "version",
    name: "two changes of a group were made of one version",
    plant: (s) => {
      eventRow(s, "removed").group.version--;
    },
  },
  {
    check: "C10",
    kind: "members",
    name: "a group that counts its members wrongly",
    plant: (s) => {
      eventRow(s, "invited").group.members++;
    },
  },
];
