// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { COMMAND_BODIES } from "#proto/command-bodies.ts";
import { Command, MAX_FRAME_BYTES } from "#proto/commands.ts";
import { JSON_VECTORS_FILE, type JsonVectors, renderJsonVectors } from "#proto/testdata/json-vectors.ts";
import { decodeAll } from "./frame-test-kit.ts";
import { type JsonFrame, readJsonFrame, showJsonFrame, showJsonFrames } from "./json-frame.ts";

const file = readFileSync(JSON_VECTORS_FILE, "utf8");
const vectors = JSON.parse(file) as JsonVectors;

function read(text: string): JsonFrame {
  return readJsonFrame(Buffer.from(text));
}

/** A PING that is `bytes` long: white space counts. */
function padded(bytes: number): Buffer {
  const text = Buffer.alloc(bytes, " ");
  text.write('{"cmd":"PING"}');
  return text;
}

function reasonOf(frame: JsonFrame): string {
  return frame.kind === "frame" ? "" : frame.reason;
}

describe("golden vectors of the JSON form", () => {
  it("json-frames.json is current: run node proto/testdata/json-vectors.ts", () => {
    assert.equal(file, renderJsonVectors());
  });

  for (const { name, from, text, frame } of vectors.frames) {
    const direction = from === "client" ? "up" : "down";
    it(`of a ${from}: ${name}`, () => {
      const got = readJsonFrame(Buffer.from(text), direction);
      assert.equal(got.kind === "frame" && got.bytes.toString("hex"), frame, reasonOf(got));
      const [shown] = direction === "down" ? showJsonFrames(Buffer.from(frame, "hex")) : [text];
      assert.equal(shown, text);
    });
  }

  for (const { name, text, code } of vectors.invalid) {
    it(`refused: ${name}`, () => {
      const got = read(text);
      assert.ok(got.kind !== "frame", text);
      assert.equal(got.code, code, got.reason);
      assert.equal(got.kind, code >= 4000 ? "bad" : "refused");
      assert.equal(got.kind === "refused" && got.rid, got.kind === "refused" && 1);
    });
  }

  it("has every kind of command", () => {
    assert.deepEqual(Object.keys(COMMAND_BODIES).sort(), Object.keys(Command).sort());
  });
});

describe("reading JSON", () => {
  it(`takes ${MAX_FRAME_BYTES} bytes, and not one more`, () => {
    assert.equal(readJsonFrame(padded(MAX_FRAME_BYTES - 1)).kind, "frame");
    assert.equal(readJsonFrame(padded(MAX_FRAME_BYTES)).kind, "frame");
    assert.deepEqual(readJsonFrame(padded(MAX_FRAME_BYTES + 1)), {
      kind: "bad",
      code: 4501,
      reason: "frame over the limit",
    });
  });

  it("says what is wrong, and where", () => {
    const body = (value: object): string => JSON.stringify({ cmd: "SNAPSHOT", rid: 1, body: value });
    const rows: [string, RegExp][] = [
      [body({ limit: -1 }), /^body\.limit must be an integer from 0 to 4294967295$/],
      [body({ limit: 2 ** 32 }), /^body\.limit must be an integer from 0 to 4294967295$/],
      [body({ before: -1 }), /^body\.before must be an integer, or a string of one, from 0 to 9007199254740991$/],
      [body({ befour: 1 }), /^body has no field "befour"$/],
      ['{"cmd":"HELLO","body":{"caps":["a",7]}}', /^body\.caps\[1\] must be a string$/],
      ['{"cmd":"HELLO","body":{"token":"\\udfff"}}', /^body\.token must be Unicode/],
      ['{"cmd":"HELLO","body":{"lastLease":"AB=="}}', /^body\.lastLease must be base64/],
      ['{"cmd":"PING","lease":7}', /^the frame\.lease must be base64/],
      ['{"cmd":"PNIG"}', /^unknown command "PNIG"$/],
      ['{"cmd":16}', /^command 16 is written "SEND"$/],
      ['{"cmd":true}', /needs a cmd/],
      ["PING", /not one JSON object a message, such as \{"cmd":"PING","rid":1\}/],
    ];
    for (const [text, reason] of rows) assert.match(reasonOf(read(text)), reason);
  });

  it("gives no reason that a close frame could not hold: ASCII, and short", () => {
    for (const name of ["é".repeat(100), "你好", "x".repeat(100_000), '"\\\u0000\r\n', "\u{1f600}", "__proto__"]) {
      for (const value of [
        { cmd: name },
        { cmd: "PING", [name]: 1 },
        { cmd: "PING", body: { [name]: 1 } },
        { cmd: "WELCOME", [name]: { [name]: 1 } },
      ]) {
        const reason = reasonOf(read(JSON.stringify(value)));
        assert.match(reason, /^[\x20-\x7e]{8,120}$/);
      }
    }
  });

  it("knows no field of JavaScript's own objects", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      assert.equal(read(`{"cmd":"${name}"}`).kind, "refused");
      assert.equal(read(`{"cmd":"PING","${name}":{}}`).kind, "bad");
      assert.equal(read(`{"cmd":"PING","body":{"${name}":{}}}`).kind, "refused");
    }
  });

  it("refuses what is nested without end, in little time", () => {
    const depth = MAX_FRAME_BYTES / 2 - 100;
    const startedMs = process.cpuUsage().user / 1000;
    for (const [text, kind] of [
      ["[".repeat(depth), "bad"],
      ["[".repeat(depth) + "]".repeat(depth), "bad"],
      [`{"cmd":"PING","body":${"[".repeat(depth)}${"]".repeat(depth)}}`, "refused"],
      [`{"cmd":"HELLO","body":{"caps":${"[".repeat(depth)}${"]".repeat(depth)}}}`, "refused"],
      [`${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}`, "bad"],
    ] as const)
      assert.equal(read(text).kind, kind);
    assert.ok(process.cpuUsage().user / 1000 - startedMs < 2000);
  });

  it("refuses bytes that are no UTF-8, and a byte order mark", () => {
    for (const hex of ["ff", "c0af", "eda080", "f4908080", "e282"]) {
      const text = Buffer.concat([Buffer.from('{"cmd":"PING","x":"'), Buffer.from(hex, "hex"), Buffer.from('"}')]);
      assert.equal(readJsonFrame(text).kind, "bad", hex);
    }
    assert.equal(read('\ufeff{"cmd":"PING"}').kind, "bad");
  });

  it("makes the frame that the binary protocol has, whatever the spelling", () => {
    const spellings = [
      '{"cmd":"SYNC","rid":7,"body":{"cursor":41,"limit":5}}',
      '{"body":{"limit":5.0,"cursor":"41"},"rid":7,"cmd":"SYNC"}',
      ' {\n"cmd" : "\\u0053YNC", "rid":7e0, "flags":0, "lease":"", "body":{"cursor":"41","limit":5}}',
      '{"cmd":"SYNC","rid":1,"rid":7,"body":{"cursor":"41","limit":5,"inboxEpoch":"","canSnapshot":false}}',
    ];
    const frames = spellings.map((text) => {
      const frame = read(text);
      assert.equal(frame.kind, "frame", reasonOf(frame));
      return frame.kind === "frame" ? decodeAll([frame.bytes]).frames : [];
    });
    for (const frame of frames) assert.deepEqual(frame, [{ cmd: 32, rid: 7, flags: 0, body: "10291805" }]);
  });
});

describe("showing JSON", () => {
  it("shows a command whose name it does not know by its number, and its bytes", () => {
    assert.equal(showJsonFrame(Buffer.from("08401009", "hex")), '{"cmd":64,"rid":9}');
    assert.equal(showJsonFrame(Buffer.from("08011001", "hex"), "down"), '{"cmd":1,"rid":1}');
  });

  it("shows a lease and a trace", () => {
    const text = showJsonFrame(Buffer.from("080422030102032a01ff", "hex"));
    assert.deepEqual(JSON.parse(text), {
      cmd: "PONG",
      trace: "AQID",
      lease: "/w==",
      body: { serverTimeMs: "0", inboxHead: "0", sysHead: "0" },
    });
  });

  it("leaves out fields that a newer server writes", () => {
    const newer = Buffer.from("08047a0a08072a0361626330e807", "hex");
    assert.deepEqual(JSON.parse(showJsonFrame(newer)), {
      cmd: "PONG",
      body: { serverTimeMs: "7", inboxHead: "0", sysHead: "0" },
    });
  });

  it("splits what was written at once", () => {
    const two = Buffer.from("04080410010208030408041002", "hex");
    assert.deepEqual(
      showJsonFrames(two).map((text) => (JSON.parse(text) as { cmd: unknown }).cmd),
      ["PONG", 3, "PONG"],
    );
  });
});
