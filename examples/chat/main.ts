// SPDX-License-Identifier: Apache-2.0
// The demo page: two people side by side, each a real client over a WebSocket of the page's own host.
import { Chat } from "./chat.ts";
import { element, Labels } from "./dom.ts";
import { Pane } from "./pane.ts";

/** A user of the page and the token to log in with. */
interface Person {
  readonly name: string;
  readonly token: string;
}

/** A signed card to ask about, in the fragment beside the users. */
const CARD = "item-card";

/** The fragment is never sent to a server; that is why the tokens are there. */
function fragmentOf(hash: string): { people: Person[]; card: string | undefined } {
  const given = [...new URLSearchParams(hash.replace(/^#/, ""))].filter(([name, value]) => name !== "" && value !== "");
  const people = given.filter(([name]) => name !== CARD).map(([name, token]) => ({ name, token }));
  return { people, card: given.find(([name]) => name === CARD)?.[1] };
}

/** Stable for this browser, as an installed app would have one. */
function deviceIdOf(name: string): string {
  const key = `imcluster-device-${name}`;
  const deviceId = localStorage.getItem(key) ?? `web-${crypto.randomUUID()}`;
  localStorage.setItem(key, deviceId);
  return deviceId;
}

function header(labels: Labels): HTMLElement {
  const language = labels.set(element("button", "button language"), "switchLanguage");
  language.type = "button";
  language.addEventListener("click", () => labels.switch());
  const title = labels.set(element("h1"), "title");
  return element("header", "top", title, labels.set(element("p", "lead"), "lead"), language);
}

function help(labels: Labels): HTMLElement {
  const steps = (["helpUp", "helpDev", "helpOwn"] as const).map((key) => labels.set(element("li"), key));
  const title = labels.set(element("h2"), "helpTitle");
  return element("main", "help", title, labels.set(element("p"), "helpWhy"), element("ul", "", ...steps));
}

function createSide(me: Person, peer: Person, labels: Labels, onShown: (id: string) => void): [Chat, Pane] {
  const { card } = fragmentOf(location.hash);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const pane: Pane = new Pane(me.name, peer.name, labels, {
    select: (key) => chat.select(key),
    send: (text) => void chat.send(text),
    edit: (line, text) => chat.edit(line, text),
    recall: (line) => chat.recall(line),
    press: (line, action) => chat.press(line, action),
    writes: () => chat.writes(),
    createGroup: (name, userIds) => void chat.createGroup(name, userIds),
    leaveGroup: () => chat.leaveGroup(),
    toggleBlock: () => chat.toggleBlock(),
    sendCard: card === undefined ? undefined : () => void chat.ask(card),
    burst: () => void chat.burst(),
    kill: () => chat.kill(),
    setOnline: (isOnline) => chat.setOnline(isOnline),
    connect: () => chat.connect(),
  });
  const chat: Chat = new Chat({
    me: me.name,
    peer: peer.name,
    url: `${scheme}://${location.host}/ws`,
    token: me.token,
    deviceId: deviceIdOf(me.name),
    view: pane,
    dial: (url) => new WebSocket(url),
    isWatched: () => document.visibilityState === "visible",
    onShown,
  });
  document.addEventListener("visibilitychange", () => chat.look());
  return [chat, pane];
}

function chats(first: Person, second: Person, labels: Labels): HTMLElement {
  const [left, leftPane] = createSide(first, second, labels, (id) => right.delivered(id));
  const [right, rightPane] = createSide(second, first, labels, (id) => left.delivered(id));
  left.connect();
  right.connect();
  return element("main", "panes", leftPane.root, rightPane.root);
}

const labels = new Labels();
const [first, second] = fragmentOf(location.hash).people;
document.body.append(header(labels));
if (first === undefined || second === undefined) document.body.append(help(labels));
else document.body.append(chats(first, second, labels), labels.set(element("footer"), "legend"));
// Other tokens: begin anew.
addEventListener("hashchange", () => location.reload());
