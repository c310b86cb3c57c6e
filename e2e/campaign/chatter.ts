// SPDX-License-Identifier: Apache-2.0
import type { GroupRole } from "../../client/src/models/index.ts";
import type { GroupAction } from "../workload/chat-app.ts";
import type { Person } from "./person.ts";

/** Options of {@link Chatter}. */
export interface ChatterOptions {
  /** All of them; at least two. */
  people: readonly Person[];
  /** Uniform in [0, 1). */
  random: () => number;
}

/** A group, as far as whoever plans what happens in it needs to know: who its owner is now, only the server knows. */
interface Group {
  conv: string;
  maker: Person;
  /** Those who were in it at some time, and may be now. */
  people: Person[];
}

const TICK_MS = 50;
/** What is done in one tick, of all that may be: some 6 changes, 10 messages into groups and 2 changes of groups a second. */
const CHANCES = { edit: 0.2, recall: 0.1, "group send": 0.5, "group change": 0.1 } as const;
const GROUPS = 6;
const MEMBERS = 6;
const ROLES: readonly GroupRole[] = ["admin", "member", "admin", "owner"];

/** What people do beside writing to each other: they take back and edit what they wrote, and talk in groups that change. */
export class Chatter {
  readonly #options: ChatterOptions;
  readonly #groups: Group[] = [];
  #making = 0;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ChatterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** What was asked goes on. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const { random } = this.#options;
    if (this.#making < GROUPS) void this.#makeGroup();
    for (const kind of ["edit", "recall"] as const) if (random() < CHANCES[kind]) void this.#change(kind);
    if (random() < CHANCES["group send"]) void this.#send();
    if (random() < CHANCES["group change"]) void this.#changeGroup();
  }

  async #change(kind: "edit" | "recall"): Promise<void> {
    const { people, random } = this.#options;
    const person = this.#pick(people.filter(({ canSend }) => canSend));
    const told = await person?.phone.change(kind, Math.floor(random() * 1000));
    if (told) people.find(({ uid }) => uid === told.to)?.due.push(told.cmid);
  }

  async #makeGroup(): Promise<void> {
    const { people } = this.#options;
    const maker = this.#pick(people.filter(({ habit, canSend }) => habit === "steady" && canSend));
    if (!maker) return;
    this.#making++;
    const others = Array.from({ length: MEMBERS }, () => this.#pick(people) ?? maker).filter((one) => one !== maker);
    const users = [...new Set(others.map(({ uid }) => uid))];
    const conv = await maker.phone.changeGroup({ do: "create", users });
    if (conv !== undefined) this.#groups.push({ conv, maker, people: [maker, ...others] });
  }

  /** Also by those who were removed: they are refused. */
  async #send(): Promise<void> {
    const group = this.#pick(this.#groups);
    const person = this.#pick(group?.people.filter(({ canSend }) => canSend) ?? []);
    if (!group || !person) return;
    const cmid = `${person.uid}-in-a-group-${this.#count++}`;
    await person.phone.send(`#${group.conv}`, cmid, Buffer.from(cmid));
  }

  /** Mostly by the maker, who may do it; sometimes by anybody, who may not. */
  async #changeGroup(): Promise<void> {
    const { people, random } = this.#options;
    const group = this.#pick(this.#groups);
    const other = this.#pick(people);
    if (!group || !other) return;
    const person = random() < 0.8 ? group.maker : this.#pick(people);
    if (!person?.canSend) return;
    const { conv } = group;
    const member = this.#pick(group.people) ?? other;
    const actions: readonly GroupAction[] = [
      { do: "invite", conv, users: [other.uid] },
      { do: "invite", conv, users: [member.uid] },
      { do: "remove", conv, users: [member.uid] },
      { do: "role", conv, user: member.uid, role: this.#pick(ROLES) ?? "member" },
      { do: "rename", conv, name: `renamed ${this.#count++}` },
    ];
    const action = this.#pick(actions);
    if (!action) return;
    const isDone = (await person.phone.changeGroup(action)) !== undefined;
    if (isDone && action.do === "invite" && !group.people.includes(other)) group.people.push(other);
    // Somebody leaves now and then, of their own will.
    if (random() < 0.3 && member.canSend) await member.phone.changeGroup({ do: "leave", conv });
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#options.random() * items.length)];
  }
}
