// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Random } from "../sim/random.ts";
import { bytesField, framed, helloBody, hostileFrame, survivableFrame, varint } from "./frames.ts";
import { HEADER_LINES } from "./http.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";
import type { LeaseForge } from "./leases.ts";

const BODY_TYPE = "application/octet-stream";
const ROUTES = { frames: 10, poll: 5, stream: 2, open: 2, close: 1, other: 1 } as const;
type Route = keyof typeof ROUTES;
const PATHS: Readonly<Record<Exclude<Route, "other">, string>> = {
  frames: "/v1/frames",
  poll: "/v1/poll",
  stream: "/v1/stream",
  open: "/v1/poll",
  close: "/v1/close",
};
const OTHER_PATHS = [
  "/v1/",
  "/v1",
  "/v1/frames/",
  "/v1/FRAMES",
  "/v1/frames?x=1",
  "/v1/./frames",
  "/v1/%66rames",
  "/v1//frames",
  "/v2/frames",
  "/v1/endpoints",
  "//v1/frames",
  "http://im.example.com/v1/frames",
  `/v1/frames?${"a".repeat(7000)}`,
];
const METHODS = ["GET", "HEAD", "PUT", "OPTIONS", "DELETE", "post"];
const TYPES = ["application/json", "application/octet-stream; charset=x", "APPLICATION/OCTET-STREAM", "", "text/plain"];
const CURSORS = ["0", "1", "7", "-1", "1e3", "0x10", "999999999999999", "9999999999999999", "", "0, 0", "NaN", " 0 "];
const WAITS = ["wait=0", "wait=1", "wait=99", "wait=100", "wait=-1", "wait=", "respond-async", "wait=0, wait=9"];
const ORIGINS = ["https://evil.example.com", "null", "http://im.example.com", "im.example.com", ""];
export const MAX_REQUESTS = 4;
const MAX_FRAMES = 6;
const MAX_CHUNK = 300;

function hello(random: Random): Buffer {
  return framed(Buffer.concat([varint(0x08), varint(1), bytesField(0x7a, helloBody(random))]));
}

/** How a client asks for a session, as it should: the seed of the rest. */
export function openRequest(mode: "stream" | "poll", random: Random): Buffer {
  return request(["Content-Type: application/octet-stream"], PATHS[mode], hello(random));
}

/** A request without anything wrong that ends this session. */
export function closeRequest(lease: string): Buffer {
  return request([`Content-Type: ${BODY_TYPE}`, `Im-Lease: ${lease}`], PATHS.close, Buffer.alloc(0));
}

function request(lines: readonly string[], path: string, body: Buffer): Buffer {
  return written("POST", path, [...lines, `Content-Length: ${body.length}`], body);
}

function written(method: string, path: string, lines: readonly string[], body: Buffer): Buffer {
  const head = [`${method} ${path} HTTP/1.1`, "Host: im.example.com", ...lines].join("\r\n");
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, "latin1"), body]);
}

function bodyOf(route: Route, random: Random): Buffer {
  switch (route) {
    case "frames": {
      const frames = Array.from({ length: random.int(0, MAX_FRAMES) }, () => survivableFrame(random));
      if (random.chance(0.3)) frames.push(hostileFrame(random));
      const whole = Buffer.concat(frames);
      return random.chance(0.05) ? whole.subarray(0, random.int(0, whole.length)) : whole;
    }
    case "stream":
    case "open":
      return random.chance(0.7) ? hello(random) : mutate(hello(random), random);
    default:
      return randomBytes(random, random.chance(0.1) ? random.int(1, 40) : 0);
  }
}

/** A body in chunks: with extensions, trailers, chunks of a byte, and some that lie about their length. */
function chunked(body: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [];
  const size = random.chance(0.3) ? 1 : random.int(1, MAX_CHUNK);
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    const claimed = random.chance(0.01) ? part.length + random.int(-1, 1) : part.length;
    const extension = random.chance(0.05) ? `;a="${"x".repeat(random.int(0, 30))}"` : "";
    parts.push(Buffer.from(`${claimed.toString(16)}${extension}\r\n`), part, Buffer.from("\r\n"));
  }
  const trailer = random.chance(0.1) ? "Im-Lease: trailer\r\nContent-Length: 3\r\n" : "";
  parts.push(Buffer.from(random.pick(["0", "0", "0", "00", "0;x"])), Buffer.from(`\r\n${trailer}\r\n`));
  return Buffer.concat(parts);
}

function framing(body: Buffer, random: Random): { lines: string[]; bytes: Buffer } {
  switch (random.weighted({ length: 62, chunks: 31, wrong: 4, none: 2, both: 1 })) {
    case "length":
      return { lines: [`Content-Length: ${body.length}`], bytes: body };
    case "chunks":
      return { lines: ["Transfer-Encoding: chunked"], bytes: chunked(body, random) };
    case "wrong": {
      const length = random.pick([body.length + 1, Math.max(0, body.length - 1), 262_148, 262_149, 70_000, 2 ** 53]);
      return { lines: [`Content-Length: ${length}`], bytes: body };
    }
    case "none":
      return { lines: [], bytes: body };
    case "both":
      return { lines: ["Transfer-Encoding: chunked", `Content-Length: ${body.length}`], bytes: chunked(body, random) };
  }
}

function leaseLines(route: Route, random: Random, forge: LeaseForge): string[] {
  const isOpener = route === "stream" || route === "open";
  if (random.chance(isOpener ? 0.95 : 0.03)) return [];
  const line = `Im-Lease: ${forge.text(random)}`;
  return random.chance(0.02) ? [line, `im-lease: ${forge.text(random)}`] : [line];
}

function headerLines(route: Route, random: Random, forge: LeaseForge): string[] {
  const lines = [`Content-Type: ${random.chance(0.95) ? BODY_TYPE : random.pick(TYPES)}`];
  lines.push(...leaseLines(route, random, forge));
  // A poll that waits would hold the fuzzer up: mostly, it need not.
  if (route === "poll") lines.push(`Im-Cursor: ${random.chance(0.5) ? "0" : random.pick(CURSORS)}`);
  if (route === "poll") lines.push(`Prefer: ${random.chance(0.7) ? "wait=0" : random.pick(WAITS)}`);
  if (random.chance(0.05)) lines.push(`Origin: ${random.pick(ORIGINS)}`);
  if (random.chance(0.08)) lines.splice(random.int(0, lines.length), 0, random.pick(HEADER_LINES));
  return lines;
}

function carrierRequest(random: Random, forge: LeaseForge): Buffer {
  const route = random.weighted(ROUTES);
  const path = route === "other" ? random.pick(OTHER_PATHS) : PATHS[route];
  const { lines, bytes } = framing(bodyOf(route, random), random);
  const method = random.chance(0.95) ? "POST" : random.pick(METHODS);
  return written(method, path, [...headerLines(route, random, forge), ...lines], bytes);
}

/** Requests of the HTTP carrier on one socket, beside an open session whose lease they bring or bend. */
export function carrierCase(random: Random, forge: LeaseForge, count: number): FuzzCase {
  const requests = Array.from({ length: count }, () => carrierRequest(random, forge));
  const isMutated = random.chance(0.35);
  const changed = isMutated ? requests.map((bytes) => (random.chance(0.4) ? mutate(bytes, random) : bytes)) : requests;
  // One by one; behind each other in one write, the second is cut off while the first has no answer.
  const chunks = random.chance(0.2) ? cut(Buffer.concat(changed), random) : changed.flatMap((one) => cut(one, random));
  return { chunks, inputs: requests.length };
}
