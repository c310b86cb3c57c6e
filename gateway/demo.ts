// SPDX-License-Identifier: Apache-2.0
import { createReadStream, realpathSync, statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".map": "application/json",
};
const PREFIX = "/demo/";

/** The demo page: files of one folder under `/demo/`. Nothing outside that folder, no hidden file. */
export class DemoFiles {
  readonly #root: string;

  /** @throws when `dir` does not exist */
  constructor(dir: string) {
    this.#root = realpathSync(dir);
  }

  /** Answers a GET or HEAD; false when there is no such file. */
  serve(path: string, response: ServerResponse): boolean {
    if (path === "/" || path === "/demo") {
      response.writeHead(308, { location: PREFIX, "content-length": 0 });
      response.end();
      return true;
    }
    const file = path.startsWith(PREFIX) ? this.#find(path.slice(PREFIX.length) || "index.html") : undefined;
    if (!file) return false;
    response.writeHead(200, {
      "content-type": TYPES[extname(file.path)] ?? "application/octet-stream",
      "content-length": file.size,
      "cache-control": "no-cache",
      "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'",
    });
    if (response.req.method === "HEAD") response.end();
    else pipeline(createReadStream(file.path), response, (error) => error && response.destroy());
    return true;
  }

  #find(name: string): { path: string; size: number } | undefined {
    try {
      const decoded = decodeURIComponent(name);
      if (decoded.includes("\0") || decoded.split("/").some((part) => part.startsWith("."))) return undefined;
      // A Secret or ConfigMap volume is made of links: what counts is where they lead.
      const path = realpathSync(join(this.#root, decoded));
      if (!path.startsWith(this.#root + sep)) return undefined;
      const stat = statSync(path);
      return stat.isFile() ? { path, size: stat.size } : undefined;
    } catch {
      return undefined;
    }
  }
}
