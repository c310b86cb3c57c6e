// SPDX-License-Identifier: Apache-2.0
// A card shows a thing of the shop in a conversation. Its content is a compact JWS (RFC 7515): what it says and who vouches for it
// travel as one text, any JWT library of a backend makes one, and what was shown can be proved later.
import { createHmac, timingSafeEqual } from "node:crypto";
import { isRecord } from "#proto/json-body.ts";
import type { CardKey } from "./card-keys.ts";

/** A button. */
export interface CardButton {
  /** What the backend is told: 1-32 of letters, digits and `_.-`. */
  readonly id: string;
  /** For people, 1-64 characters. */
  readonly label: string;
}

export const CARD_KINDS = ["item", "order", "offer"] as const;
export type CardKind = (typeof CARD_KINDS)[number];

/** What a card shows. */
export interface Card {
  readonly type: CardKind;
  /** Names the thing in the shop, 1-128 characters. */
  readonly ref: string;
  /** State of the thing: grows with each, from 1 to 2^53 - 2. */
  readonly version: number;
  /** What the app draws: the shop's own, any JSON object. */
  readonly snapshot: Readonly<Record<string, unknown>>;
  /** At most eight, each id once. */
  readonly actions: readonly CardButton[];
}

/** Bytes of a signed card. */
export const MAX_CARD_BYTES = 16 * 1024;
const MAX_REF_CHARS = 128;
const MAX_LABEL_CHARS = 64;
const MAX_ACTIONS = 8;
const MAX_VERSION = Number.MAX_SAFE_INTEGER - 1;
const ACTION_ID = /^[A-Za-z0-9_.-]{1,32}$/;
const PART = /^[A-Za-z0-9_-]+$/;
const TYP = "im-card";
const ALG = "HS256";

/** The text of a signed card. @param exp when nobody may send it any more, seconds since 1970; absent: never */
export function signCard(card: Card, key: CardKey, exp?: number): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = encode({ alg: ALG, typ: TYP, kid: key.id });
  const signed = `${head}.${encode({ ...card, ...(exp === undefined ? {} : { exp }) })}`;
  return `${signed}.${macOf(key, signed).toString("base64url")}`;
}

/**
 * The card of a content, if one of the keys signed it. Else what is wrong, in words for its author: a signature that does not
 * hold is told like one of an unknown key.
 * @param wallMs now: after its `exp` a card may not be sent
 */
export function openCard(content: Uint8Array, keys: readonly CardKey[], wallMs: number): Card | string {
  if (content.length > MAX_CARD_BYTES) return `a card has at most ${MAX_CARD_BYTES} bytes`;
  const parts = Buffer.from(content).toString("latin1").split(".");
  const [head = "", body = "", mac = ""] = parts;
  if (parts.length !== 3 || !parts.every((part) => PART.test(part))) return "a card is a compact JWS";
  const header = jsonOf(head);
  if (header?.alg !== ALG || header.typ !== TYP) return `the header of a card says alg ${ALG} and typ ${TYP}`;
  const key = keys.find(({ id }) => id === header.kid);
  const given = Buffer.from(mac, "base64url");
  const wanted = macOf(key ?? NO_KEY, `${head}.${body}`);
  const isSigned = given.length === wanted.length && timingSafeEqual(given, wanted);
  if (!key || !isSigned) return "the card is not signed by this shop, or was altered";
  const claims = jsonOf(body);
  const card = claims && cardOf(claims);
  if (!card) return "the card lacks type, ref, version, snapshot or actions, or has them in another form";
  const isOver = claims.exp !== undefined && !(typeof claims.exp === "number" && claims.exp * 1000 > wallMs);
  return isOver ? "the card is too old to be sent: get a new one from the shop" : card;
}

/** The card of a content that was taken or made by this cluster: the signature is not looked at. Undefined: it is none. */
export function readCard(content: Uint8Array): Card | undefined {
  const [, body = ""] = Buffer.from(content).toString("latin1").split(".");
  const claims = jsonOf(body);
  return claims && cardOf(claims);
}

/** What is wrong with a card that somebody made up, or undefined. */
export function cardProblem(card: Card): string | undefined {
  if (cardOf({ ...card })) return undefined;
  return "a card has type, ref (1-128 characters), version (from 1), snapshot (an object) and up to eight actions";
}

function cardOf(claims: Record<string, unknown>): Card | undefined {
  const { ref, version, snapshot, actions = [] } = claims;
  const type = CARD_KINDS.find((kind) => kind === claims.type);
  if (!type || typeof ref !== "string" || !isRef(ref) || !isRecord(snapshot) || !Array.isArray(actions))
    return undefined;
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 1 || version > MAX_VERSION)
    return undefined;
  const buttons = actions.filter(isButton).map(({ id, label }) => ({ id, label }));
  const areGood = buttons.length === actions.length && buttons.length <= MAX_ACTIONS;
  if (!areGood || new Set(buttons.map(({ id }) => id)).size < buttons.length) return undefined;
  return { type, ref, version, snapshot, actions: buttons };
}

/** NUL ends texts in the database, half a surrogate pair is no text there. */
function isRef(ref: string): boolean {
  return ref !== "" && ref.length <= MAX_REF_CHARS && !ref.includes("\0") && ref.isWellFormed();
}

function isButton(value: unknown): value is CardButton {
  if (!isRecord(value)) return false;
  const { id, label } = value;
  if (typeof id !== "string" || typeof label !== "string") return false;
  return ACTION_ID.test(id) && label !== "" && label.length <= MAX_LABEL_CHARS;
}

function jsonOf(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** An unknown key costs the time of a known one. */
const NO_KEY: CardKey = { id: "", secret: Buffer.alloc(32) };

function macOf({ secret }: CardKey, signed: string): Buffer {
  return createHmac("sha256", secret).update(signed).digest();
}
