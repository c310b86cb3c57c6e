// SPDX-License-Identifier: Apache-2.0
import type { Contact } from "./contact-book.ts";

/** What a list that is grouped by people shows as one row. */
export interface PeerGroup {
  /** The other user; empty of a group, which is a row of its own. */
  readonly peerId: string;
  /** Its conversations in the order of the list, at least one: with a server that keeps one per item, one for each. */
  readonly contacts: readonly Contact[];
  /** Of all of them. */
  readonly unread: number;
}

/** The list of conversations by people, each where its first conversation is. Pure: call it whenever the list has changed. */
export function groupByPeer(list: readonly Contact[]): PeerGroup[] {
  const groups = new Map<string, Contact[]>();
  for (const contact of list) {
    const key = contact.peerId === "" ? `g:${contact.conversationId}` : `p:${contact.peerId}`;
    const group = groups.get(key);
    if (group) group.push(contact);
    else groups.set(key, [contact]);
  }
  return [...groups.values()].map((contacts) => ({
    peerId: contacts[0]?.peerId ?? "",
    contacts,
    unread: contacts.reduce((sum, { unread }) => sum + unread, 0),
  }));
}
