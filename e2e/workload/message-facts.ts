// SPDX-License-Identifier: Apache-2.0
import { Change } from "#proto/gen/messages.ts";
import { CHANGE_TYPE, RECALLED_TYPE } from "../../client/src/models/content-types.ts";
import { GROUP_EVENT_TYPE } from "../../client/src/models/index.ts";
import { bodyHashOf, type GroupFact, RECALLED } from "../checker/history.ts";

/** What a history says of a message's content. */
export interface MessageFacts {
  bodyHash: string;
  /** When it was changed. */
  version?: number;
  /** When it tells of a change of its group. */
  group?: GroupFact;
}

const VERSION_MARK = ";im-version=";

/** Reads a message as it is stored, or was delivered. */
export function factsOf({ contentType, content }: { contentType: string; content: Uint8Array }): MessageFacts {
  if (contentType === RECALLED_TYPE) return { bodyHash: "", version: RECALLED };
  if (contentType === CHANGE_TYPE) return { bodyHash: changeHashOf(Change.decode(content)) };
  const bodyHash = bodyHashOf(content);
  if (contentType === GROUP_EVENT_TYPE) {
    const { kind, users, version, members, role } = JSON.parse(new TextDecoder().decode(content)) as GroupFact;
    return { bodyHash, group: { kind, users, version, members, ...(role === undefined ? {} : { role }) } };
  }
  const [, mark] = contentType.split(VERSION_MARK);
  return mark === undefined ? { bodyHash } : { bodyHash, version: Number(mark) };
}

/** Of the message that tells of a change, without the new content: that goes when the next change comes. */
export function changeHashOf(change: Pick<Change, "convSeq" | "messageId" | "version">): string {
  const { convSeq, messageId, version } = change;
  return bodyHashOf(Buffer.from(`${convSeq} ${messageId} ${version}`));
}
