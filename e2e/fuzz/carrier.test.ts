// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LEASE_MS, LeaseSigner } from "../../gateway/http/lease.ts";
import { Random } from "../sim/random.ts";
import { MAX_REQUESTS } from "./carrier.ts";
import { carrierCaseOf, carrierOpening, leasesIn } from "./lanes.ts";
import { LeaseForge } from "./leases.ts";

const SECRET = Buffer.from("a secret");
const WALL_MS = 1_700_000_000_000;
const signer = new LeaseSigner(SECRET);
const LEASE = { deadlineMs: WALL_MS + LEASE_MS, address: "127.0.0.1:1", conn: 7, nonce: "0011223344556677" };
const own = signer.sign(LEASE);
const forge = new LeaseForge({ secret: SECRET, wallMs: WALL_MS, own, hasNetwork: true });
const textOf = (index: number, from = forge): string =>
  Buffer.concat(carrierCaseOf(3, index, from).chunks).toString("latin1");

describe("fuzz cases of the HTTP carrier", () => {
  it("the same seed, index and lease are the same bytes; others are not", () => {
    const seen = new Set<string>();
    for (let index = 0; index < 200; index++) {
      assert.equal(textOf(index), textOf(index));
      assert.deepEqual(carrierOpening(3, index), carrierOpening(3, index));
      seen.add(textOf(index));
      const { inputs } = carrierCaseOf(3, index, forge);
      assert.equal(inputs, carrierOpening(3, index).requests);
      assert.ok(inputs >= 1 && inputs <= MAX_REQUESTS);
    }
    assert.ok(seen.size > 190, `${seen.size} different ones of 200`);
  });

  it("bring every route, bodies by length and in chunks, and the lease of the session", () => {
    const all = Array.from({ length: 400 }, (_, index) => textOf(index)).join("\n");
    for (const part of [
      "POST /v1/frames ",
      "POST /v1/poll ",
      "POST /v1/stream ",
      "POST /v1/close ",
      "OPTIONS /v1/",
      "Transfer-Encoding: chunked\r\n",
      "Content-Length: ",
      "Im-Cursor: ",
      "Prefer: wait=",
      "Origin: ",
      `Im-Lease: ${own}\r\n`,
    ]) {
      assert.ok(all.includes(part), part);
    }
  });

  it("an opening is a request without anything wrong", () => {
    const modes = Array.from({ length: 50 }, (_, index) => carrierOpening(3, index).request.toString("latin1"));
    for (const text of modes) {
      assert.match(text, /^POST \/v1\/(?:stream|poll) HTTP\/1\.1\r\n/);
      const [head = "", body = ""] = text.split("\r\n\r\n");
      assert.ok(head.includes(`Content-Length: ${body.length}`));
    }
    assert.equal(new Set(modes.map((text) => text.slice(0, 14))).size, 2);
  });
});

describe("forged leases", () => {
  it("are right, altered, late, or lie about what they name", () => {
    const random = new Random(1, "leases");
    const verdicts = new Map<string, number>();
    for (let i = 0; i < 1000; i++) {
      const text = forge.text(random);
      const lease = signer.verify(text, WALL_MS);
      const { conn, nonce, address } = lease ?? LEASE;
      const isOwn = conn === LEASE.conn && nonce === LEASE.nonce && address === LEASE.address;
      const verdict = text === own ? "own" : !lease ? "refused" : isOwn ? "other deadline" : "lies";
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    }
    assert.ok((verdicts.get("own") ?? 0) > 600);
    assert.ok((verdicts.get("refused") ?? 0) > 80);
    assert.ok((verdicts.get("lies") ?? 0) > 50);
  });

  it("name no other entry where there is no network", () => {
    const lonely = new LeaseForge({ secret: SECRET, wallMs: WALL_MS, own, hasNetwork: false });
    const random = new Random(2, "leases");
    for (let i = 0; i < 1000; i++) {
      const lease = signer.verify(lonely.text(random), WALL_MS);
      assert.ok(!lease || lease.address === LEASE.address);
    }
  });

  it("need a lease of the entries", () => {
    const options = { secret: SECRET, wallMs: WALL_MS, hasNetwork: false };
    assert.throws(() => new LeaseForge({ ...options, own: "AAAA" }), /good client/);
    assert.throws(() => new LeaseForge({ ...options, own, secret: Buffer.from("another") }), /good client/);
  });

  it("are found in headers and in the first event of a stream", () => {
    const other = signer.sign({ ...LEASE, conn: 8 });
    const stream = `HTTP/1.1 200 OK\r\n\r\n78\r\nevent: lease\ndata: ${own}\n\n\r\n`;
    const poll = `HTTP/1.1 204 No Content\r\nim-lease: ${other}\r\nim-cursor: 7\r\n\r\n`;
    assert.deepEqual(leasesIn(stream), [own]);
    assert.deepEqual(leasesIn(stream + poll + stream), [own, other]);
    assert.deepEqual(leasesIn("data: CgQIAg==\n\n"), []);
  });
});
