// SPDX-License-Identifier: Apache-2.0
import type { Message } from "#client";
import { Changes, Groups, LargeGroups } from "../../client/src/models/index.ts";
import { isWithin, type Login, login } from "./login.ts";
import type { RowFigures } from "./verdict.ts";

/** One more makes a group large: its messages come in no inbox. */
const MEMBERS = 200;
const MESSAGES = 6;
/** A large group has a pace. */
const PAUSE_MS = 100;
const SHOWN_TIMEOUT_MS = 15_000;

/**
 * Two members of a large group, each by an entry and an SDK of its own: messages of the one, an edit, a recall, and what was said while
 * the other one was away. What the other one shows in the end is compared with what was said.
 */
export async function chatInLargeGroup(writer: Login, reader: Login, seed: string): Promise<RowFigures["large"]> {
  const [from, to] = [`${seed}-teller`, `${seed}-member`];
  const teller = await login(writer, from);
  const said: string[] = [];
  let member = await follow(reader, to);
  try {
    const group = new Groups(teller);
    const crowd = Array.from({ length: MEMBERS - 2 }, (_, at) => `${seed}-crowd-${at}`);
    const { conversationId } = await group.create({ name: "crowd", userIds: [to, ...crowd] });
    await group.invite(conversationId, [`${seed}-last`]);
    await isWithin("the member follows it", () => member.large.has(conversationId), SHOWN_TIMEOUT_MS);
    const told = new LargeGroups(teller, { onMessage: () => undefined });
    const say = async (text: string) => {
      const sent = await told.send({ conversationId, content: text });
      said.push(text);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return sent;
    };
    const shows = (): string[] => member.texts(conversationId, from);
    for (let at = 2; at < MESSAGES; at++) await say(`${at}`);
    const [first, second] = [await say("to edit"), await say("to recall")];
    await isWithin("they are shown", () => `${shows()}` === `${said}`, SHOWN_TIMEOUT_MS);
    const shown = matching(said, shows());
    const changes = new Changes(teller);
    await changes.edit({ ...first, version: 1 }, "edited");
    await changes.recall(second);
    said.splice(-2, 2, "edited", "-");
    await isWithin("they are changed", () => `${shows()}` === `${said}`, SHOWN_TIMEOUT_MS);
    const changed = matching(said.slice(-2), shows().slice(-2));
    const positions = new Map(member.large.positions);
    await member.close();
    const missed = [await say("missed"), await say("missed, too")].length;
    member = await follow(reader, to, positions);
    await isWithin("what was missed is read", () => shows().length >= missed, SHOWN_TIMEOUT_MS);
    return { sent: MESSAGES, shown, changes: 2, changed, missed, read: matching(said.slice(-missed), shows()) };
  } finally {
    await Promise.all([teller.close(), member.close()]);
  }
}

/** A member's app with what it shows of large groups. */
async function follow(how: Login, uid: string, positions?: ReadonlyMap<string, number>) {
  const client = await login(how, uid);
  const changes = new Changes(client);
  const listen = { onMessage: (message: Message) => void changes.add([message]) };
  const large = new LargeGroups(client, positions ? { ...listen, positions } : listen);
  const texts = (conversationId: string, sender: string): string[] =>
    changes
      .list(conversationId)
      .filter((message) => message.sender === sender && !message.contentType.startsWith("im/group"))
      .map(({ isRecalled, content }) => (isRecalled ? "-" : Buffer.from(content).toString()));
  return { large, texts, close: () => client.close() };
}

function matching(expected: readonly string[], found: readonly string[]): number {
  return expected.filter((text, at) => found[at] === text).length;
}
