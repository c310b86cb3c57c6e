// SPDX-License-Identifier: Apache-2.0
// Whatever order messages and changes come in, and however often: the same is shown.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Message } from "../events.ts";
import { Change } from "./changes-codec.ts";
import {
  applyMessage,
  NOTHING_SHOWN,
  parseCard,
  type ShownState,
  shownMessage,
  shownMessages,
} from "./shown-messages.ts";

const RECALLED = Number.MAX_SAFE_INTEGER;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function message(fields: Partial<Message> & { convSeq: number }): Message {
  const content = fields.content ?? bytes(`text ${fields.convSeq}`);
  return {
    ...{ inboxSeq: 0, conversationId: "c", messageId: `m-${fields.convSeq}`, sender: "alice", own: false },
    ...{ sentAtMs: 1, clientMessageId: "", contentType: "text/plain", text: new TextDecoder().decode(content) },
    ...fields,
    content,
  };
}

function change(of: number, fields: Partial<Change> & { at: number }): Message {
  const { at, ...rest } = fields;
  const content = Change.encode({ convSeq: of, messageId: `m-${of}`, ...rest });
  return message({ convSeq: at, contentType: "im/change", content });
}

const edit = (of: number, at: number, version: number, text: string): Message =>
  change(of, { at, version, kind: 2, content: bytes(text) });
const stripped = (of: number, at: number, version: number): Message => change(of, { at, version, kind: 2 });
const recall = (of: number, at: number): Message => change(of, { at, version: RECALLED, kind: 1 });

const fold = (messages: readonly Message[], from: ShownState = NOTHING_SHOWN): ShownState =>
  messages.reduce(applyMessage, from);
const seen = (state: ShownState): string[] =>
  shownMessages(state, "c").map(({ convSeq, version, contentType, content, isRecalled }) =>
    isRecalled ? `${convSeq} recalled` : `${convSeq} v${version} ${contentType} ${new TextDecoder().decode(content)}`,
  );

describe("shown messages", () => {
  it("are the newest of what came by message and by event", () => {
    const state = fold([message({ convSeq: 1 }), message({ convSeq: 2 }), edit(1, 3, 2, "two"), recall(2, 4)]);
    assert.deepEqual(seen(state), ["1 v2 text/plain two", "2 recalled"]);
    assert.equal(shownMessage(state, "c", 2)?.content.length, 0);
    assert.equal(shownMessage(state, "c", 3), undefined);
    assert.deepEqual(shownMessages(state, "other"), []);
  });

  it("that a page has in their newest form are not turned back by events from before", () => {
    const page = message({ convSeq: 1, contentType: "text/plain;im-version=3", content: bytes("three") });
    const state = fold([page, stripped(1, 2, 2), edit(1, 3, 3, "three")]);
    assert.deepEqual(seen(state), ["1 v3 text/plain three"]);
    const gone = message({ convSeq: 1, contentType: "im/recalled", content: bytes("") });
    assert.deepEqual(seen(fold([gone, edit(1, 2, 2, "two")])), ["1 recalled"]);
    assert.deepEqual(seen(fold([message({ convSeq: 1 }), page])), ["1 v3 text/plain three"]);
  });

  it("wait for their message, and belong to no other one at its position", () => {
    assert.deepEqual(seen(fold([edit(1, 3, 2, "two")])), []);
    const other = message({ convSeq: 1, messageId: "of a database that was restored" });
    assert.deepEqual(seen(fold([edit(1, 3, 2, "two"), other])), ["1 v1 text/plain text 1"]);
  });

  it("stay as they are when an event cannot be read, or comes twice", () => {
    const before = fold([message({ convSeq: 1 }), edit(1, 2, 2, "two")]);
    const broken = message({ convSeq: 3, contentType: "im/change", content: Uint8Array.of(0xff) });
    assert.equal(applyMessage(before, broken), before);
    assert.equal(applyMessage(before, edit(1, 2, 2, "two")), before);
    assert.equal(applyMessage(before, message({ convSeq: 1 })), before);
    assert.equal(applyMessage(before, stripped(1, 2, 9)), before);
  });

  it("end alike after any order and repetition of deliveries", () => {
    // What a server may hand out of a history of changes: the message as it was at any time, and its events, stripped or whole.
    const history = fc.record({ edits: fc.integer({ min: 0, max: 4 }), isRecalled: fc.boolean() });
    const scenario = history.chain(({ edits, isRecalled }) => {
      const all: Message[] = [message({ convSeq: 1 }), message({ convSeq: 2 })];
      for (let version = 2; version <= edits + 1; version++) {
        all.push(edit(1, version + 1, version, `v${version}`), stripped(1, version + 1, version));
        const contentType = `text/plain;im-version=${version}`;
        all.push(message({ convSeq: 1, contentType, content: bytes(`v${version}`) }));
      }
      if (isRecalled) all.push(recall(1, 20), message({ convSeq: 1, contentType: "im/recalled", content: bytes("") }));
      // The newest event is whole always: every device gets it.
      const newest = isRecalled ? recall(1, 20) : edits > 0 ? edit(1, edits + 2, edits + 1, `v${edits + 1}`) : all[0];
      const must = [all[0], all[1], newest] as Message[];
      return fc.record({
        expected: fc.constant(
          isRecalled ? "1 recalled" : `1 v${edits + 1} text/plain ${edits > 0 ? `v${edits + 1}` : "text 1"}`,
        ),
        deliveries: fc
          .array(fc.constantFrom(...all), { maxLength: 20 })
          .chain((more) => fc.shuffledSubarray([...must, ...more], { minLength: must.length + more.length })),
      });
    });
    fc.assert(
      fc.property(scenario, ({ expected, deliveries }) => {
        const state = fold(deliveries);
        assert.deepEqual(seen(state), [expected, "2 v1 text/plain text 2"]);
        assert.equal(fold(deliveries, state), state, "nothing of it is new");
        assert.deepEqual(seen(fold(deliveries.toReversed())), seen(state));
      }),
      { numRuns: 500 },
    );
  });
});

describe("cards", () => {
  const cardText = (claims: object): Uint8Array =>
    bytes(["{}", JSON.stringify(claims), "x"].map((part) => Buffer.from(part).toString("base64url")).join("."));
  const card = { type: "order", ref: "o-1", version: 4, snapshot: { title: "Fahrrad 自行车" }, actions: [] };

  it("are read from between the dots", () => {
    assert.deepEqual(parseCard(cardText(card)), card);
    for (const bad of [
      bytes(""),
      bytes("a.b.c"),
      bytes("x"),
      cardText({}),
      cardText({ ...card, version: "4" }),
      Uint8Array.of(255),
    ])
      assert.equal(parseCard(bad), undefined);
  });

  it("show the highest state, as it was sent or as an event says", () => {
    const sent = message({ convSeq: 1, contentType: "im/card", content: cardText(card) });
    const update = (version: number): Message =>
      change(1, { at: version, version, kind: 3, content: cardText({ ...card, version }) });
    const state = fold([update(6), sent, update(5), update(3)]);
    const shown = shownMessage(state, "c", 1);
    assert.deepEqual(
      [shown?.version, shown?.contentType, parseCard(shown?.content ?? bytes(""))?.version],
      [6, "im/card", 6],
    );
    assert.equal(shownMessage(fold([update(3), sent]), "c", 1)?.version, 4);
  });
});
