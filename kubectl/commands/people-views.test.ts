// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LocatedDevice, TracedUser, TraceReply } from "#proto/gen/messages.ts";
import { PLAIN } from "../text.ts";
import { routeText } from "./route.ts";
import { traceText } from "./trace.ts";

const NOW_MS = Date.parse("2026-11-26T12:00:00Z");
const PODS = new Map([["uid-1", "demo-entry-f9k2x"]]);

const device = (over: Partial<LocatedDevice>): LocatedDevice => ({
  ...{
    deviceId: "phone-1",
    deviceName: "Alice's phone",
    platform: "ios",
    online: false,
    lastSeenMs: NOW_MS - 3_600_000,
  },
  ...{ ackedSeq: 41, slot: "", incarnation: "", conn: 0, loginSeq: 0 },
  ...over,
});
const ONLINE = { online: true, lastSeenMs: NOW_MS, slot: "mobile", incarnation: "uid-1.7", conn: 1204, loginSeq: 3 };

describe("routeText", () => {
  it("shows devices, entries and how far each has acknowledged", () => {
    const devices = [device(ONLINE), device({ deviceId: "tab", platform: "web", ackedSeq: 42 })];
    assert.equal(
      routeText("alice", { inboxHead: 42, devices }, PODS, NOW_MS, PLAIN),
      `alice is online on 1 of 2 devices; the inbox has 42 messages

DEVICE   PLATFORM  STATE        ENTRY             CONN  ACKED
phone-1  ios       online       demo-entry-f9k2x  1204  41/42
tab      web       seen 1h ago                          42/42
`,
    );
  });

  it("names the incarnation of an entry that is gone, and people who never came", () => {
    const gone = device({ ...ONLINE, incarnation: "uid-9.2" });
    assert.match(routeText("alice", { inboxHead: 1, devices: [gone] }, PODS, NOW_MS, PLAIN), / uid-9\.2 /);
    const never = device({ lastSeenMs: 0 });
    assert.match(routeText("a", { inboxHead: 0, devices: [never] }, PODS, NOW_MS, PLAIN), /a is offline.* seen never/s);
    assert.equal(
      routeText("nobody", { inboxHead: 0, devices: [] }, PODS, NOW_MS, PLAIN),
      "nobody never logged in here; the inbox has 0 messages\n",
    );
  });
});

const user = (over: Partial<TracedUser>): TracedUser => ({
  ...{ userId: "bob", inboxSeq: 7, inboxHead: 9, pushedSeq: 0, devices: [], pushes: [] },
  ...over,
});

const REPLY: TraceReply = {
  ...{
    found: true,
    messageId: "0193-id",
    conversationId: "c_1",
    convSeq: 3,
    sentAtMs: NOW_MS - 125_000,
    expired: false,
  },
  ...{
    sender: "alice",
    clientMessageId: "m-1",
    contentType: "text/plain",
    contentBytes: 1_024,
    users: [],
    hasMore: false,
  },
};

describe("traceText", () => {
  it("shows what senders made up as it is, each on its own line", () => {
    const wipe = "\u001b[2J\nforged";
    const users = [user({ devices: [device({ deviceId: wipe })] })];
    const text = traceText({ ...REPLY, clientMessageId: wipe, contentType: wipe, users }, PODS, NOW_MS, PLAIN);
    assert.ok(!text.includes("\u001b"));
    assert.equal(text.match(/^forged/m), null);
    assert.equal(text.match(/\\u001b\[2J\\nforged/g)?.length, 3);
  });

  it("tells one message from its sender to every device", () => {
    const users = [
      user({ userId: "alice", inboxSeq: 5, inboxHead: 5, devices: [device({ ackedSeq: 5, ...ONLINE })] }),
      user({
        devices: [device({ deviceId: "bob-1", ackedSeq: 6 })],
        pushes: [{ channel: "Sms", attempts: 2, dueMs: NOW_MS + 60_000 }],
      }),
    ];
    assert.equal(
      traceText({ ...REPLY, users }, PODS, NOW_MS, PLAIN),
      `Message 0193-id  stored 2026-11-26T11:57:55.000Z, 2m5s ago
From alice as m-1, text/plain, 1,024 bytes
Conversation c_1, position 3

alice  sender, every device has it (1)
  inbox position 5 of 5
  DEVICE   PLATFORM  STATE   ENTRY             CONN  ACKED
  phone-1  ios       online  demo-entry-f9k2x  1204    5/5

bob  offline, a push waits
  inbox position 7 of 9
  push by Sms in 1m, 2 failed tries
  DEVICE  PLATFORM  STATE        ENTRY  CONN  ACKED
  bob-1   ios       seen 1h ago                 6/9
`,
    );
  });

  it("has a verdict for every state", () => {
    const verdict = (over: Partial<TracedUser>): string => {
      const text = traceText({ ...REPLY, users: [user(over)] }, PODS, NOW_MS, PLAIN);
      return /^bob {2}(.*)$/m.exec(text)?.[1] ?? text;
    };
    const [has, lacks] = [device({ ackedSeq: 7 }), device({ ackedSeq: 6 })];
    assert.equal(verdict({ inboxSeq: 0 }), "not among the last 20,000 messages of the inbox");
    assert.equal(verdict({}), "no device has ever logged in");
    assert.equal(verdict({ devices: [has, has] }), "every device has it (2)");
    assert.equal(verdict({ devices: [has, lacks] }), "1 of 2 devices have it");
    assert.equal(verdict({ devices: [{ ...lacks, online: true }] }), "online, and has not acknowledged it yet");
    assert.equal(verdict({ devices: [lacks] }), "offline, not pushed to yet");
    assert.equal(verdict({ devices: [lacks], pushedSeq: 7 }), "offline, was pushed to; comes with the next login");
    assert.match(
      traceText({ ...REPLY, users: [user({ userId: "alice" })] }, PODS, NOW_MS, PLAIN),
      /^alice {2}sender$/m,
    );
  });

  it("says what retention took and whom it left out", () => {
    const text = traceText({ ...REPLY, expired: true, hasMore: true }, PODS, NOW_MS, PLAIN);
    assert.match(text, /Retention has taken its content/);
    assert.match(text, /There are more members: name one by --user/);
    const due = traceText(
      { ...REPLY, users: [user({ pushes: [{ channel: "App", attempts: 0, dueMs: 1 }] })] },
      PODS,
      NOW_MS,
      PLAIN,
    );
    assert.match(due, /push by App is due\n/);
  });
});
