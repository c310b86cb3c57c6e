// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { BoundedMap } from "../policy/bounded-map.ts";
import { AppendPlan, type Delivery } from "./append-plan.ts";
import { appendRepeats, checkBatch } from "./append-repeats.ts";
import { bigintArray, byteaArray, intArray, textArray } from "./binary-array.ts";
import { APPENDED_FACTS } from "./hook-statements.ts";
import { isDuplicateKey, isGroupChanged, isPairBlocked, toStoreError } from "./postgres-errors.ts";
import type { PostgresHooks } from "./postgres-hooks.ts";
import type { PostgresPool, Row, Statement, Value } from "./postgres-pool.ts";
import { RecentAppends } from "./recent-appends.ts";
import { text } from "./rows.ts";
import * as sql from "./statements.ts";
import { type AppendInput, type AppendResult, OtherEpochError, type Subject } from "./store.ts";

const MAX_ATTEMPTS = 3;
/** Inbox rows per transaction: keeps 500 messages to large groups well below the statement timeout. */
const MAX_ROWS = 10_000;
/** Conversations remembered in which one has blocked the other. */
const BLOCKED_PAIRS = 10_000;
/** Conversations remembered that are about something, and are there. */
const BOUND_CONVERSATIONS = 20_000;
/** Conversations of a pair, where nobody says how many there may be. */
const ANY_NUMBER = 2 ** 31 - 1;
/** After a resend was seen, so many batches are looked up first: resends come in waves, when connections break. */
const CAUTIOUS_BATCHES = 64;

/**
 * Stores batches. New messages between two known users, nearly all of them, take one statement: that none was stored
 * before is left to the unique key, whose violation undoes the batch, and that nobody has blocked the other to the conversation's
 * row, which says so. Only then, for a while after, and for messages addressed by conversation alone, a lookup goes first: what is
 * stored, who the members are, and who blocks whom. What was looked up of a block is remembered, and holds as long as the conversation
 * has that version: whoever is blocked is answered by one statement like everybody else, and cannot tell by the time.
 */
export class PostgresAppender {
  readonly #pool: PostgresPool;
  readonly #hooks: Pick<PostgresHooks, "withFacts">;
  readonly #recent = new RecentAppends();
  /** Inbox epoch that the recent ones are of. */
  #epoch: string | undefined;
  #cautiousBatches = 0;
  /** Conversations in which one had blocked the other, as they were looked up last. */
  #blockedPairs = new BoundedMap<Members>(BLOCKED_PAIRS);
  #bound = new BoundedMap<true>(BOUND_CONVERSATIONS);

  constructor(pool: PostgresPool, hooks: Pick<PostgresHooks, "withFacts">) {
    this.#pool = pool;
    this.#hooks = hooks;
  }

  /** See Store.append. */
  async append(batch: readonly AppendInput[], epoch: string | undefined): Promise<AppendResult[]> {
    if (batch.length === 0) return [];
    checkBatch(batch);
    if (epoch !== this.#epoch) this.forget();
    this.#epoch = epoch;
    return appendRepeats(batch, (distinct) => this.#appendUnknown(distinct, epoch));
  }

  /** The database is, or may be, another one than before. */
  forget(): void {
    this.#recent.clear();
    this.#blockedPairs = new BoundedMap<Members>(BLOCKED_PAIRS);
    this.#bound = new BoundedMap<true>(BOUND_CONVERSATIONS);
  }

  /** Answers what was committed here lately, and stores the rest. */
  async #appendUnknown(batch: readonly AppendInput[], epoch: string | undefined): Promise<AppendResult[]> {
    const known = batch.map((input): AppendResult | undefined => this.#recent.find(input));
    const rest = batch.filter((_, index) => known[index] === undefined);
    try {
      const stored = rest.length === 0 ? [] : await this.#bindAndAppend(rest, epoch);
      let next = 0;
      return known.map((recent) => {
        if (recent) return recent;
        const input = rest[next];
        const result = stored[next++];
        if (!input || !result) return missing();
        if (result.kind === "stored" && epoch === this.#epoch) this.#recent.add(input, result);
        return result;
      });
    } catch (error) {
      // Perhaps the server is being replaced: its word counts, not ours.
      this.forget();
      throw error;
    }
  }

  /** What would begin one conversation too many is only looked up: it may be stored already, where the policy was another one. */
  async #bindAndAppend(batch: readonly AppendInput[], epoch: string | undefined): Promise<AppendResult[]> {
    const unmade = await this.#bind(batch);
    if (unmade.size === 0) return this.#appendDistinct(batch, epoch);
    const isUnmade = (input: AppendInput): boolean => unmade.has(input.conversationId) && !input.lookUpOnly;
    const results = await this.#appendDistinct(
      batch.map((input) => (isUnmade(input) ? { ...input, lookUpOnly: true } : input)),
      epoch,
    );
    return batch.map((input, index) => {
      const result = results[index] ?? missing();
      return result.kind === "refused" && isUnmade(input) ? { kind: "pair-full" } : result;
    });
  }

  /**
   * Makes conversations about something before their first message, in a transaction of its own: a block of the pair either comes before, and
   * the conversation begins with it, or finds the conversation.
   * @returns those that were not made, because their pairs have as many as they may
   */
  async #bind(batch: readonly AppendInput[]): Promise<ReadonlySet<string>> {
    const bindings = bindingsOf(batch).filter(({ conversationId }) => !this.#bound.get(conversationId));
    const unmade = new Set<string>();
    if (bindings.length === 0) return unmade;
    try {
      const rows = await this.#pool.run(sql.BIND, [
        textArray(bindings.map(({ conversationId }) => conversationId)),
        textArray(bindings.map(({ pairId }) => pairId)),
        textArray(bindings.map(({ sender }) => sender)),
        textArray(bindings.map(({ peer }) => peer)),
        textArray(bindings.map(({ subject }) => subject.type)),
        textArray(bindings.map(({ subject }) => subject.id)),
        intArray(bindings.map(({ maxOfPair = ANY_NUMBER }) => maxOfPair)),
      ]);
      for (const row of rows) unmade.add(text(row, 0));
    } catch (error) {
      throw toStoreError(error, "bind");
    }
    for (const { conversationId } of bindings) if (!unmade.has(conversationId)) this.#bound.set(conversationId, true);
    return unmade;
  }

  async #appendDistinct(batch: readonly AppendInput[], epoch: string | undefined): Promise<AppendResult[]> {
    let failure: unknown;
    let isAnyBlocked = false;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      try {
        return await this.#appendOnce(batch, epoch, isAnyBlocked);
      } catch (error) {
        const isRepeated = isDuplicateKey(error);
        if (isPairBlocked(error) || isGroupChanged(error)) isAnyBlocked = true;
        else if (!isRepeated) throw toStoreError(error, "append");
        failure = error;
        if (isRepeated) this.#cautiousBatches = CAUTIOUS_BATCHES;
      }
    }
    const reason = "the same message is being stored elsewhere, or a group or a block changes all the time";
    throw new ImError(ErrorCode.RETRYABLE, `append: ${reason}`, { cause: failure });
  }

  /** @param isAnyBlocked somewhere in the batch, or what was remembered or read is outdated: everybody is looked up */
  async #appendOnce(
    batch: readonly AppendInput[],
    epoch: string | undefined,
    isAnyBlocked: boolean,
  ): Promise<AppendResult[]> {
    const wanted = batch.map((input) => isAnyBlocked || this.#isToLookUp(input));
    const isAnyWanted = wanted.includes(true);
    const isCautious = this.#cautiousBatches > 0 || isAnyWanted;
    if (this.#cautiousBatches > 0) this.#cautiousBatches--;
    const { known: knownResults, members } = isCautious ? await this.#lookUp(batch, wanted, epoch) : nothingKnown();
    if (!isAnyBlocked) this.#recall(batch, members);
    const results = new Array<AppendResult>(batch.length);
    const indexes: number[] = [];
    const deliveries: Delivery[] = [];
    for (const [index, input] of batch.entries()) {
      const refused: AppendResult | undefined = input.lookUpOnly ? { kind: "refused" } : undefined;
      const delivery = knownResults.get(index) ?? refused ?? deliveryOf(input, members);
      if ("kind" in delivery) {
        results[index] = delivery;
        continue;
      }
      // A later message of the batch may continue the conversation by its id.
      if (isAnyWanted && delivery.pair && !members.has(input.conversationId))
        members.set(input.conversationId, { userIds: [...new Set(delivery.pair)], pair: delivery.pair });
      indexes.push(index);
      deliveries.push(delivery);
    }
    let stored = 0;
    for (const part of splitByRows(deliveries)) {
      const plan = new AppendPlan(part);
      const [row] = await this.#store(plan, epoch, versionsOf(part, members));
      if (!row) throw new OtherEpochError("append");
      for (const message of plan.decode(row)) results[indexes[stored++] ?? 0] = message;
    }
    return results;
  }

  /** @param versions of the groups among the conversations, as their members were read */
  #store(plan: AppendPlan, epoch: string | undefined, versions: ReadonlyMap<string, number>): Promise<Row[]> {
    const values = [...plan.encode(), epoch ?? null];
    const [cards, hidden, subjects] = [plan.cards(), plan.hidden(), plan.subjects()];
    const isMarked = cards !== undefined || hidden !== undefined || subjects !== undefined;
    if (versions.size === 0 && !isMarked) return this.#run(sql.APPEND, values);
    const groups = [textArray([...versions.keys()]), bigintArray([...versions.values()])];
    if (!isMarked) return this.#run(sql.APPEND_TO_GROUPS, [...values, ...groups]);
    const marks = [...(cards ?? NO_CARDS), ...(hidden ?? NO_HIDDEN), ...(subjects ?? NO_SUBJECTS)];
    return this.#run(sql.APPEND_MARKED, [...values, ...groups, ...marks]);
  }

  #run(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    return this.#pool.run(this.#hooks.withFacts(statement, APPENDED_FACTS, sql.OUTBOX), values);
  }

  /** Does the message not tell by itself whom it goes to, or whether it is to be stored? */
  #isToLookUp({ sender, peer, conversationId, lookUpOnly }: AppendInput): boolean {
    // Nothing but a look tells that a block of the sender's own is over: its messages are refused before they are stored.
    const isBlocker = this.#blockedPairs.get(conversationId)?.blockers?.includes(sender) === true;
    return peer === "" || lookUpOnly === true || isBlocker;
  }

  /** What is remembered of pairs that were not looked up; the statement that stores compares their versions. */
  #recall(batch: readonly AppendInput[], members: Map<string, Members>): void {
    for (const { conversationId } of batch) {
      const remembered = this.#blockedPairs.get(conversationId);
      if (remembered && !members.has(conversationId)) members.set(conversationId, remembered);
    }
  }

  /** @param wanted by index: members and blocks, too */
  async #lookUp(batch: readonly AppendInput[], wanted: readonly boolean[], epoch: string | undefined): Promise<Lookup> {
    const [row] = await this.#pool.run(sql.APPEND_LOOKUP, [
      textArray(batch.map((input) => input.sender)),
      textArray(batch.map((input) => input.clientMessageId)),
      byteaArray(batch.map((input) => input.payloadHash)),
      textArray(batch.map((input, index) => (wanted[index] ? input.conversationId : undefined))),
      epoch ?? null,
    ]);
    if (!row) throw new OtherEpochError("append");
    const known = new Map<number, AppendResult>();
    for (const entry of parse<Known[]>(row[0]) ?? []) {
      known.set(entry[0] - 1, toResult(entry, batch[entry[0] - 1]?.sender ?? ""));
    }
    if (known.size > 0) this.#cautiousBatches = CAUTIOUS_BATCHES;
    const members = membersOf(row[1]);
    for (const [conversationId, pair] of members) {
      if (pair.blockers) this.#blockedPairs.set(conversationId, pair);
      else this.#blockedPairs.delete(conversationId);
    }
    return { known, members };
  }
}

/** A message in a conversation of one subject. */
type Binding = AppendInput & { subject: Subject; pairId: string };

/** One per conversation. What is only looked up makes none. */
function bindingsOf(batch: readonly AppendInput[]): Binding[] {
  const isBinding = (input: AppendInput): input is Binding =>
    input.pairId !== undefined && input.subject !== undefined && !input.lookUpOnly;
  const byId = new Map(batch.filter(isBinding).map((input) => [input.conversationId, input]));
  return [...byId.values()];
}

/** Parts of at most {@link MAX_ROWS} inbox rows each, or of one message; most batches are one part. */
function splitByRows(deliveries: readonly Delivery[]): Delivery[][] {
  const parts: Delivery[][] = [];
  let rows = MAX_ROWS;
  for (const delivery of deliveries) {
    rows += delivery.userIds.length;
    if (rows > MAX_ROWS) {
      parts.push([]);
      rows = delivery.userIds.length;
    }
    parts.at(-1)?.push(delivery);
  }
  return parts;
}

function missing(): never {
  throw new ImError(ErrorCode.INTERNAL, "append: too few results");
}

interface Lookup {
  /** Results of what is stored already, by index. */
  known: ReadonlyMap<number, AppendResult>;
  /** Members of the conversations that were given without a peer. */
  members: Map<string, Members>;
}

interface Members {
  userIds: readonly string[];
  /** Of a group: its members are these as long as it has this version. Of a pair: who blocks whom is right as long. */
  version?: number;
  /** Of a pair: who has blocked the other. */
  blockers?: readonly string[];
  /** Of a pair about which nothing was to be looked up, or none has blocked the other. */
  pair?: readonly [string, string];
  /** Only a block has made the row: nobody has written yet. */
  isEmptyPair?: boolean;
  /** Of a large group, of whose members the senders are known. */
  isLarge?: boolean;
}

/** Id, members, version, who blocks, is it a pair, last seq, is it a large group. */
type MembersRow = [string, string[], number | null, string[] | null, boolean, number, boolean];

function membersOf(column: string | null | undefined): Map<string, Members> {
  const rows = parse<MembersRow[]>(column) ?? [];
  return new Map(
    rows.map(([id, userIds, version, blockers, isPair, lastSeq, isLarge]) => [
      id,
      {
        userIds,
        ...(version === null ? {} : { version }),
        ...(blockers ? { blockers } : {}),
        ...(isPair && !blockers ? { pair: pairOf(userIds) } : {}),
        isEmptyPair: isPair && lastSeq === 0,
        isLarge,
      },
    ]),
  );
}

function pairOf([one = "", other = one]: readonly string[]): readonly [string, string] {
  return [one, other];
}

function versionsOf(part: readonly Delivery[], members: ReadonlyMap<string, Members>): Map<string, number> {
  const versions = new Map<string, number>();
  for (const { input } of part) {
    const version = members.get(input.conversationId)?.version;
    if (version !== undefined) versions.set(input.conversationId, version);
  }
  return versions;
}

function nothingKnown(): Lookup {
  return { known: new Map(), members: new Map() };
}

/** Who gets the message, or why its sender may not send it. */
function deliveryOf(input: AppendInput, members: ReadonlyMap<string, Members>): Delivery | AppendResult {
  const { sender, peer, conversationId } = input;
  const known = members.get(conversationId);
  if (peer === "" && (!known?.userIds.includes(sender) || known.isEmptyPair)) return { kind: "not-member" };
  const pair = known ? known.pair : ([sender, peer] as const);
  const userIds = peer === "" ? (known?.userIds ?? []) : [...new Set([sender, peer])];
  const { blockers } = known ?? {};
  if (blockers?.includes(sender)) return { kind: "blocks-peer" };
  const isHidden = input.hidden === true || (blockers?.some((userId) => userId !== sender) ?? false);
  if (known?.isLarge && !isHidden) return { input, pair, userIds: [sender], largeVersion: known.version ?? 0 };
  return { input, pair, userIds: isHidden ? [sender] : userIds, isHidden };
}

const NO_CARDS = [textArray([]), intArray([]), intArray([]), textArray([]), bigintArray([]), bigintArray([])];
const NO_SUBJECTS = [textArray([]), textArray([]), textArray([]), textArray([])];
const NO_HIDDEN = [intArray([]), intArray([]), bigintArray([]), textArray([])];

/** [index from 1, same payload?, message id, conversation, conv seq, sent at ms, sender's inbox seq] */
type Known = [number, boolean, string, string, number, number, number];

function toResult(known: Known, sender: string): AppendResult {
  const [, samePayload, messageId, conversationId, convSeq, sentAtMs, inboxSeq] = known;
  if (!samePayload) return { kind: "conflict", messageId };
  const recipients = [{ userId: sender, inboxSeq }];
  return { kind: "duplicate", messageId, conversationId, convSeq, sentAtMs, recipients };
}

function parse<T>(text: string | null | undefined): T | null {
  return text ? (JSON.parse(text) as T) : null;
}
