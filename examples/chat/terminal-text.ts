// SPDX-License-Identifier: Apache-2.0
// What the terminal understands, and how it says things. Pure.
import type { Contact } from "../../client/src/models/index.ts";
import { aboutOf, aboutText } from "./about.ts";
import { cardFacts, cardTitle, type LineBody, previewOf } from "./lines.ts";

/** What a typed line asks for. */
export type TerminalCommand =
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "list" | "help" | "quit" | "nothing" }
  | { readonly kind: "to" | "block" | "unblock"; readonly whom: string }
  | { readonly kind: "group"; readonly name: string; readonly userIds: readonly string[] }
  | { readonly kind: "edit"; readonly convSeq: number; readonly text: string }
  | { readonly kind: "recall"; readonly convSeq: number }
  | { readonly kind: "press"; readonly convSeq: number; readonly action: string }
  | { readonly kind: "wrong"; readonly usage: string };

/** The commands, for people. */
export const COMMANDS = `/list                 conversations, what is unread
/to USER or /to N     write to somebody else, or into conversation N of the list
/group NAME USER...   make a group, and write into it
/edit #N TEXT         change your message #N        /recall #N   take it back
/press #N BUTTON      press a button of card #N
/block USER           hear nothing more of somebody /unblock USER   end it
/help                 this text                     /quit           leave`;

/** One line that says where to find the others. */
export const HELP_LINE =
  "a line and Enter sends · /list /to /group /edit /recall /press /block · /help explains · /quit leaves";

const WORD = /\s+/;

/** Reads a line. */
export function parseCommand(line: string): TerminalCommand {
  const text = line.trim();
  if (text === "") return { kind: "nothing" };
  if (!text.startsWith("/") || text.startsWith("//")) return { kind: "say", text: text.replace(/^\/\//, "/") };
  const [name = "", ...words] = text.slice(1).split(WORD);
  const rest = text.slice(1 + name.length).trim();
  switch (name) {
    case "list":
    case "help":
    case "quit":
      return { kind: name };
    case "to":
      return words.length === 1 ? { kind: name, whom: rest } : wrong("/to USER or /to N");
    case "block":
    case "unblock":
      return words.length === 1 ? { kind: name, whom: rest } : wrong(`/${name} USER`);
    case "group": {
      const [title = "", ...userIds] = words;
      return userIds.length > 0 ? { kind: "group", name: title, userIds } : wrong("/group NAME USER...");
    }
    case "edit":
    case "recall":
    case "press":
      return changeOf(name, words, rest);
    default:
      return wrong(
        `/${name} is no command: /help lists them; a line that begins with / is sent when it begins with //`,
      );
  }
}

function changeOf(kind: "edit" | "recall" | "press", words: readonly string[], rest: string): TerminalCommand {
  const [first = "", second = ""] = words;
  const convSeq = Number(/^#?(\d{1,15})$/.exec(first)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(convSeq)) return wrong(USAGES[kind]);
  const text = rest.slice(first.length).trim();
  if (kind === "recall") return { kind, convSeq };
  if (text === "" || (kind === "press" && words.length !== 2)) return wrong(USAGES[kind]);
  return kind === "edit" ? { kind, convSeq, text } : { kind, convSeq, action: second };
}

const USAGES = { edit: "/edit #N TEXT", recall: "/recall #N", press: "/press #N BUTTON" } as const;

function wrong(usage: string): TerminalCommand {
  return { kind: "wrong", usage };
}

/** What a message says, on one line or a few. Control characters of others do nothing here. */
export function bodyText(body: LineBody): string {
  switch (body.kind) {
    case "text":
      return `${plain(body.text)}${body.isEdited ? " (edited)" : ""}`;
    case "recalled":
      return "(recalled)";
    case "card": {
      const { card } = body;
      const facts = cardFacts(card).map(([name, value]) => `${name} ${value}`);
      const buttons = card.actions.map(({ id, label }) => `[${id}: ${label}]`);
      return plain([`${card.type} "${cardTitle(card)}"`, `v${card.version}`, ...facts, ...buttons].join(" · "));
    }
    case "notification": {
      const { title, text, facts } = body.notification;
      return plain(["🔔", title, text, ...facts.map(([name, value]) => `${name}=${value}`)].filter(Boolean).join(" "));
    }
    case "group": {
      const { kind, actor, users, name, role } = body.event;
      const whom = kind === "left" ? "" : ` ${users.join(", ")}`;
      return plain(`* ${actor} ${kind}${whom}${role ? ` ${role}` : ""}${name ? ` "${name}"` : ""}`);
    }
    case "other":
      return `(${plain(body.contentType)})`;
  }
}

/** A conversation in the list. */
export function contactText(at: number, contact: Contact, title: string, last: LineBody | undefined): string {
  const unread = contact.unread > 0 ? ` (${contact.unread} unread)` : "";
  const preview = last === undefined ? "" : ` – ${plain(previewOf(last) ?? bodyText(last)).slice(0, 60)}`;
  const about = aboutOf(contact, last ? [last] : []);
  const what = about ? ` · ${plain(aboutText(about))}` : "";
  return `${String(at).padStart(2)} ${plain(title)}${what}${unread}${preview}`;
}

/** Without what would move the cursor or colour the terminal. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => (char === "\n" ? "\n  " : ""));
}
