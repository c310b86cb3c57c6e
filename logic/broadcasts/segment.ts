// SPDX-License-Identifier: Apache-2.0
import type { DeviceTraits } from "../store/broadcast-store.ts";

/** What a segment may ask about. */
export const SEGMENT_ATTRIBUTES = ["platform", "locale", "registeredFrom", "registeredUntil"] as const;
export type SegmentAttribute = (typeof SEGMENT_ATTRIBUTES)[number];

/** One of the values must hold. */
export interface SegmentRule {
  readonly attribute: string;
  readonly values: readonly string[];
}

/** Who is meant: every rule holds. Stored as JSON. */
export type Segment = readonly (SegmentRule & { readonly attribute: SegmentAttribute })[];

export type SegmentProblem = "unknown-attribute" | "bad-value";

const PLATFORMS: readonly string[] = ["ios", "android", "web", "desktop", "mini"];
/** A BCP 47 tag, or the beginning of one. */
const LOCALE = /^[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})*$/;

/** The rules as a segment, or what is wrong with them, and where. */
export function readSegment(rules: readonly SegmentRule[]): Segment | { problem: SegmentProblem; at: number } {
  const checked: (SegmentRule & { attribute: SegmentAttribute })[] = [];
  for (const [at, { attribute, values }] of rules.entries()) {
    if (!isAttribute(attribute)) return { problem: "unknown-attribute", at };
    if (values.length === 0 || !values.every((value) => isValue(attribute, value))) return { problem: "bad-value", at };
    checked.push({ attribute, values });
  }
  return checked;
}

/** Of a user: when it first logged in, and its devices. */
export interface UserTraits {
  /** 0 = long ago. */
  readonly registeredMs: number;
  readonly devices: readonly Pick<DeviceTraits, "platform" | "locale">[];
}

/** Does every rule hold? One about devices does when it holds for one of them. */
export function isInSegment(segment: Segment, user: UserTraits): boolean {
  return segment.every(({ attribute, values }) => values.some((value) => holds(attribute, value, user)));
}

function holds(attribute: SegmentAttribute, value: string, { registeredMs, devices }: UserTraits): boolean {
  switch (attribute) {
    case "platform":
      return devices.some(({ platform }) => platform === value);
    case "locale":
      return devices.some(({ locale }) => isLocaleOf(locale.toLowerCase(), value.toLowerCase()));
    case "registeredFrom":
      return registeredMs >= timeOf(value);
    case "registeredUntil":
      return registeredMs < timeOf(value);
  }
}

/** `de` holds for `de-AT`, and not for `den`. */
function isLocaleOf(locale: string, prefix: string): boolean {
  return locale === prefix || locale.startsWith(`${prefix}-`);
}

function isAttribute(text: string): text is SegmentAttribute {
  return (SEGMENT_ATTRIBUTES as readonly string[]).includes(text);
}

function isValue(attribute: SegmentAttribute, value: string): boolean {
  if (attribute === "platform") return PLATFORMS.includes(value);
  if (attribute === "locale") return LOCALE.test(value);
  return Number.isSafeInteger(timeOf(value));
}

/** Ms since 1970, or a time as ISO 8601 has it; NaN: it is none. */
function timeOf(value: string): number {
  return /^\d{1,16}$/.test(value) ? Number(value) : Date.parse(value);
}
