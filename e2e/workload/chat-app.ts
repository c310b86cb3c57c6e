// SPDX-License-Identifier: Apache-2.0
import { type ImClient, ImClientError, type Message } from "#client";
import { Changed, Edit, Recall } from "../../client/src/models/changes-codec.ts";
import { ChatCommand } from "../../client/src/models/chat-commands.ts";
import {
  applyMessage,
  type GroupChanged,
  type GroupRole,
  Groups,
  NOTHING_SHOWN,
  type ShownMessage,
  shownMessage,
} from "../../client/src/models/index.ts";
import { positionOf } from "../../client/src/models/shown-messages.ts";
import { bodyHashOf, RECALLED, type WithoutBase } from "../checker/history.ts";
import { changeHashOf } from "./message-facts.ts";

/** What {@link ChatApp} needs. */
export interface ChatAppPorts {
  uid: string;
  device: string;
  /** Of the events. */
  process: string;
  record(event: WithoutBase): void;
  /** Names what is asked for; never the same one twice. */
  newId(): string;
  /** Messages of which it knows how they are shown; older ones are forgotten. Default: all. */
  maxKnown?: number;
  /** Of the client's SDK. Default: ours. */
  errorClass?: typeof ImClientError;
}

/** One thing that is asked of a group. */
export type GroupAction =
  | { do: "create"; users: readonly string[] }
  | { do: "invite" | "remove"; conv: string; users: readonly string[] }
  | { do: "leave"; conv: string }
  | { do: "role"; conv: string; user: string; role: GroupRole }
  | { do: "rename"; conv: string; name: string };

/** A message that the user has sent. */
interface Own {
  readonly conv: string;
  readonly seq: number;
  readonly messageId: string;
  /** As of the send. */
  readonly to: string;
}

/** What an acknowledgement says of a message. */
export interface SentPlace {
  conversationId: string;
  convSeq: number;
  messageId: string;
}

/** One of the newest so many is recalled or edited. */
const MAX_OWN = 8;
/** Codes from here on are the client's own: nothing was said. */
const FIRST_CLIENT_CODE = 1000;

/**
 * What the application of one device keeps beside the SDK: messages as they are to be shown, by the SDK's pure rules, and what the
 * user has sent. It outlives clients and restarts, as an application's database does. Recalls, edits and changes of groups that it
 * asks for, and what changes on its screen, go into the history.
 */
export class ChatApp {
  readonly #ports: ChatAppPorts;
  /** By conversation and position: the message and the newest change, in the order in which they came. */
  readonly #known = new Map<string, Message[]>();
  readonly #own: Own[] = [];
  /** `to` of the one-to-one conversations. */
  readonly #peers = new Map<string, string>();

  constructor(ports: ChatAppPorts) {
    this.#ports = ports;
  }

  /** The application was shown a message. */
  shown(message: Message): void {
    const { conversationId: conv, convSeq: seq, messageId, sender } = message;
    const { uid } = this.#ports;
    if (sender !== uid && isDirect(conv)) this.#peers.set(conv, sender);
    const to = isDirect(conv) ? this.#peers.get(conv) : `#${conv}`;
    if (sender === uid && to !== undefined && !message.contentType.startsWith("im/"))
      this.#keepOwn({ conv, seq, messageId, to });
    this.#add(message);
  }

  /** A message of its own was acknowledged, which nobody else tells it of. */
  sent(place: SentPlace, to: string, content: Uint8Array): void {
    const { conversationId: conv, convSeq: seq, messageId } = place;
    if (isDirect(conv)) this.#peers.set(conv, to);
    this.#keepOwn({ conv, seq, messageId, to });
    const what = { ...place, inboxSeq: 0, sender: this.#ports.uid, own: true, sentAtMs: 0, clientMessageId: "" };
    this.#add({ ...what, contentType: "text/plain", content, text: "" });
  }

  #keepOwn(own: Own): void {
    if (this.#own.some(({ messageId }) => messageId === own.messageId)) return;
    this.#own.push(own);
    if (this.#own.length > MAX_OWN) this.#own.shift();
  }

  #add(message: Message): void {
    const { conversationId: conv } = message;
    const seq = positionOf(message);
    const key = `${conv}:${seq}`;
    const messages = this.#known.get(key) ?? [];
    const before = formOf(messages, conv, seq);
    const after = formOf([...messages, message], conv, seq);
    this.#known.set(key, [...messages, message]);
    if (after && after !== before && after.version > 1 && after.version !== before?.version) this.#changed(after);
    const { maxKnown = Number.POSITIVE_INFINITY } = this.#ports;
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= maxKnown) break;
      this.#known.delete(oldest);
    }
  }

  #changed({ conversationId: conv, convSeq: seq, messageId, version, content, isRecalled }: ShownMessage): void {
    const { uid, device, process, record } = this.#ports;
    const bodyHash = isRecalled ? "" : bodyHashOf(content);
    record({ op: "view", kind: "ok", process, uid, device, conv, seq, messageId, version, bodyHash });
  }

  /**
   * Recalls or edits one of the user's newest messages, 0 the very last; nothing when there is none. Resolves with what tells of it: its id and
   * the `to` of the message; undefined when nothing is known to be stored.
   */
  async change(
    client: ImClient,
    kind: "recall" | "edit",
    pick: number,
  ): Promise<{ cmid: string; to: string } | undefined> {
    const own = this.#own.at(-1 - (pick % Math.max(1, this.#own.length)));
    if (!own) return undefined;
    const { conv, seq, messageId, to } = own;
    const known = formOf(this.#known.get(`${conv}:${seq}`) ?? [], conv, seq);
    // A recalled message is not shown as one that can be edited.
    if (!known || known.isRecalled) return undefined;
    const { uid, device, process, record, newId, errorClass } = this.#ports;
    const cmid = newId();
    const content = Buffer.from(`${uid} edits: ${cmid}`);
    const version = kind === "recall" ? RECALLED : known.version + 1;
    const contentHash = kind === "recall" ? "" : bodyHashOf(content);
    const bodyHash = changeHashOf({ convSeq: seq, messageId, version });
    const what = { uid, device, cmid, to, conv, seq, messageId, version, contentHash, bodyHash, process };
    record({ op: "change", kind: "invoke", ...what });
    const ref = { conversationId: conv, convSeq: seq, messageId, clientMessageId: cmid };
    try {
      const answer =
        kind === "recall"
          ? await client.request(ChatCommand.RECALL, Recall.encode(ref))
          : await client.request(ChatCommand.EDIT, Edit.encode({ ...ref, version: known.version, content }));
      const { code, eventSeq } = Changed.decode(answer);
      record({ op: "change", kind: code === 0 ? "ok" : "fail", ...what, ...(code === 0 ? { eventSeq } : {}) });
      return code === 0 && eventSeq > 0 ? { cmid, to } : undefined;
    } catch (error) {
      record({ op: "change", kind: isRefusal(error, errorClass) ? "fail" : "info", ...what });
      return undefined;
    }
  }

  /** Changes a group, or makes one; resolves with its id when that was done. */
  async changeGroup(client: ImClient, action: GroupAction): Promise<string | undefined> {
    const { uid, device, process, record, newId, errorClass } = this.#ports;
    const cmid = newId();
    const conv = action.do === "create" ? "" : action.conv;
    const users = "users" in action ? action.users : "user" in action ? [action.user] : [];
    const what = { uid, device, cmid, action: action.do, users, process };
    record({ op: "group", kind: "invoke", ...what, conv });
    try {
      const { conversationId, convSeq: seq } = await ask(new Groups(client), action, cmid);
      record({ op: "group", kind: "ok", ...what, conv: conversationId, seq });
      return conversationId;
    } catch (error) {
      record({ op: "group", kind: isRefusal(error, errorClass) ? "fail" : "info", ...what, conv });
      return undefined;
    }
  }
}

function ask(groups: Groups, action: GroupAction, requestId: string): Promise<GroupChanged> {
  const options = { requestId };
  switch (action.do) {
    case "create":
      return groups.create({ userIds: action.users }, options);
    case "invite":
      return groups.invite(action.conv, action.users, options);
    case "remove":
      return groups.remove(action.conv, action.users, options);
    case "leave":
      return groups.leave(action.conv, options);
    case "role":
      return groups.setRole(action.conv, action.user, action.role, options);
    case "rename":
      return groups.rename(action.conv, action.name, options);
  }
}

function formOf(messages: readonly Message[], conv: string, seq: number): ShownMessage | undefined {
  return shownMessage(messages.reduce(applyMessage, NOTHING_SHOWN), conv, seq);
}

function isDirect(conv: string): boolean {
  return conv.startsWith("c_");
}

/** The server said that it was not done. What is too late for one process may not be for another one, whose clock differs. */
function isRefusal(error: unknown, errorClass = ImClientError): boolean {
  if (!(error instanceof errorClass) || error.retryable || error.code >= FIRST_CLIENT_CODE) return false;
  return !error.message.startsWith("too late");
}
