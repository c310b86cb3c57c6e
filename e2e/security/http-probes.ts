// SPDX-License-Identifier: Apache-2.0
// HTTP and the WebSocket upgrade over TLS: what must be refused, and what answers must not tell.
import { ALLOWED_ORIGINS, FOREIGN_ORIGINS, OWN_HOST } from "../../gateway/testing/foreign-origins.ts";
import { BAD_CHUNKS, post, SMUGGLING_SHAPES, TE } from "../../gateway/testing/smuggling-shapes.ts";
import { upgradeRequest } from "../../gateway/testing/ws-frame.ts";
import { type Check, check } from "./checks.ts";
import { exchange, faultsOf, type SecurityTarget, statusesIn } from "./target.ts";

const HEAD_END = "\r\n\r\n";
const isHeadThere = (text: string): boolean => text.includes(HEAD_END);

const head = (line: string, lines: readonly string[] = []): string =>
  `${[line, `Host: ${OWN_HOST}`, ...lines].join("\r\n")}${HEAD_END}`;

/** Each is answered with an error, by one of the places that write errors. */
export const WRONG_REQUESTS: Readonly<Record<string, string>> = {
  "nothing there": head("GET /nothing HTTP/1.1"),
  "a path upwards": head("GET /demo/../../etc/passwd HTTP/1.1"),
  "an encoded path upwards": head("GET /demo/%2e%2e/%2e%2e/etc/passwd HTTP/1.1"),
  "a broken escape": head("GET /demo/%zz HTTP/1.1"),
  "a NUL in the path": head("GET /demo/%00 HTTP/1.1"),
  "markup in the path": head("GET /<script>alert(1)</script> HTTP/1.1"),
  "a method that nobody takes": head("DELETE / HTTP/1.1"),
  TRACE: head("TRACE /healthz HTTP/1.1", ["X-Echo: canary"]),
  CONNECT: head("CONNECT evil.example:443 HTTP/1.1"),
  "an absolute target": head("GET http://evil.example/nothing HTTP/1.1"),
  "no HTTP": `GARBAGE${HEAD_END}`,
  "headers beyond the limit": head("GET / HTTP/1.1", [`X: ${"y".repeat(9000)}`]),
  "too many headers": head(
    "GET / HTTP/1.1",
    Array.from({ length: 100 }, (_, i) => `X-${i}: y`),
  ),
  "an expectation": head("GET / HTTP/1.1", ["Expect: 200-ok"]),
  "an upgrade without its key": head("GET /ws HTTP/1.1", ["Upgrade: websocket", "Connection: Upgrade"]),
  "an upgrade to h2c": head("GET / HTTP/1.1", ["Upgrade: h2c", "Connection: Upgrade", "HTTP2-Settings: AAMAAABk"]),
  "an upgrade elsewhere": upgradeRequest([], "/chat"),
  "a carrier without a body": head("POST /v1/stream HTTP/1.1", ["Content-Length: 0"]),
  "a carrier with a wrong body": head("POST /v1/poll HTTP/1.1", [
    "Content-Type: application/json",
    "Content-Length: 2",
  ]).concat("{}"),
  "a forged lease": head("POST /v1/frames HTTP/1.1", [
    "Content-Type: application/octet-stream",
    "Im-Lease: AAAA.BBBB",
    "Content-Length: 0",
  ]),
  "a lease with markup": head("POST /v1/poll HTTP/1.1", [
    "Content-Type: application/octet-stream",
    "Im-Lease: <script>",
    "Content-Length: 0",
  ]),
};

/** What an answer must not have: who wrote the program, and where it lies. */
const TELLTALES: readonly [string, RegExp][] = [
  ["a Server header", /^server:/im],
  ["an X-Powered-By header", /^x-powered-by:/im],
  ["a version of node", /node(\.js)?[ /]v?\d+\./i],
  ["a stack trace", /\n\s+at .+(:\d+|\))/],
  ["an error's name", /\b(Type|Range|Reference|Syntax|Im)Error\b/],
  ["a path of the machine", /(\/|file:)[\w./-]*\.(ts|js|mjs)\b/],
  ["node's own modules", /node:internal|node_modules/],
  ["the request's markup", /<script>/i],
  ["the request's header", /canary/],
];

/** What an answer tells that it should not. */
export function telltalesIn(text: string): string[] {
  return TELLTALES.filter(([, pattern]) => pattern.test(text)).map(([what]) => what);
}

async function telling(target: SecurityTarget, request: string): Promise<string | undefined> {
  const text = await exchange(target, request);
  const [status] = statusesIn(text);
  if (status !== undefined && status < 300) return `answered with ${status}`;
  const told = telltalesIn(text);
  return told.length > 0 ? told.join(", ") : undefined;
}

async function mustBe(target: SecurityTarget, request: string, wanted: readonly string[]): Promise<string | undefined> {
  const seen = statusesIn(await exchange(target, request)).join(" ");
  return wanted.includes(seen) ? undefined : `answered ${seen || "nothing"}`;
}

async function upgradeStatus(target: SecurityTarget, lines: readonly string[]): Promise<[number, string]> {
  const text = await exchange(target, upgradeRequest(lines), isHeadThere);
  return [statusesIn(text)[0] ?? 0, text];
}

/** The answer of the HTTP carrier to a page of that origin; nothing may be allowed to it. */
async function carrierFault(target: SecurityTarget, origin: string): Promise<string | undefined> {
  const request = head("OPTIONS /v1/stream HTTP/1.1", [`Origin: ${origin}`, "Access-Control-Request-Method: POST"]);
  const text = await exchange(target, request);
  if (/^access-control-/im.test(text)) return "CORS allows it";
  const [status] = statusesIn(text);
  return status === 403 ? undefined : `answered ${status}`;
}

async function compressionFault(target: SecurityTarget, offer: string): Promise<string | undefined> {
  const [status, text] = await upgradeStatus(target, [`Sec-WebSocket-Extensions: ${offer}`]);
  if (/^sec-websocket-extensions:/im.test(text)) return "an extension was agreed";
  return status === 101 || status === 400 ? undefined : `answered ${status}`;
}

const OFFERS = [
  "permessage-deflate",
  "permessage-deflate; client_max_window_bits",
  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  "permessage-deflate; server_max_window_bits=8, x-webkit-deflate-frame",
  "permessage-bzip2",
];

const named = (items: readonly string[]): [string, string][] => items.map((item) => [item, item]);

async function headersFault(target: SecurityTarget): Promise<string | undefined> {
  const text = await exchange(target, head("GET /healthz HTTP/1.1", ["Accept-Encoding: gzip, deflate, br"]));
  const wrong = [
    /^strict-transport-security: max-age=(\d{8,})/im.test(text) ? undefined : "no HSTS",
    /^x-content-type-options: nosniff/im.test(text) ? undefined : "no nosniff",
    /^content-encoding:/im.test(text) ? "it compresses" : undefined,
    /^set-cookie:/im.test(text) ? "it sets a cookie" : undefined,
  ].filter((fault) => fault !== undefined);
  return wrong.length > 0 ? wrong.join(", ") : undefined;
}

/** Looks at a port that serves {@link OWN_HOST} and allows {@link ALLOWED_ORIGINS}. */
export async function httpProbes(area: string, target: SecurityTarget): Promise<Check[]> {
  const shapes = Object.entries(SMUGGLING_SHAPES);
  const chunks = Object.entries(BAD_CHUNKS).map(([name, body]): [string, string] => [name, post([TE], body)]);
  const origins = named(FOREIGN_ORIGINS);
  const wrong = Object.entries(WRONG_REQUESTS);
  const may = named([`https://${OWN_HOST}`, ...ALLOWED_ORIGINS]);
  const upgraded = (status: number) => async (origin: string) => {
    const [seen] = await upgradeStatus(target, [`Origin: ${origin}`]);
    return seen === status ? undefined : `answered ${seen}`;
  };
  const faults = {
    smuggling: await faultsOf(shapes, (request) => mustBe(target, request, ["400"])),
    chunks: await faultsOf(chunks, (request) => mustBe(target, request, ["400", "405"])),
    pages: await faultsOf(origins, upgraded(403)),
    carrier: await faultsOf(origins, (origin) => carrierFault(target, origin)),
    allowed: await faultsOf(may, upgraded(101)),
    compression: await faultsOf(named(OFFERS), (offer) => compressionFault(target, offer)),
    telling: await faultsOf(wrong, (request) => telling(target, request)),
  };
  const count = (list: readonly unknown[]): string => `${list.length} refused`;
  return [
    check(`${area}: requests with two readings get one 400 and the end`, "high", faults.smuggling, count(shapes)),
    check(`${area}: bodies in bad chunks are answered once`, "high", faults.chunks, count(chunks)),
    check(`${area}: pages of strangers open no WebSocket`, "high", faults.pages, count(origins)),
    check(`${area}: pages of strangers may not use the HTTP carrier`, "high", faults.carrier, count(origins)),
    check(`${area}: pages that are allowed open a WebSocket`, "medium", faults.allowed, `${may.length} let in`),
    check(`${area}: no compression of messages is agreed`, "high", faults.compression, count(OFFERS)),
    check(`${area}: errors tell nothing of the program`, "medium", faults.telling, `${wrong.length} answers`),
    check(`${area}: HSTS and nosniff, no cookie, no compression`, "medium", await headersFault(target)),
  ];
}
