// SPDX-License-Identifier: Apache-2.0
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import type { ApiResponse } from "./api-desk.ts";

const FOLDER = join(import.meta.dirname, "../admin-page");
const PREFIX = "/admin/";
const INDEX = "index.html";

/** What a browser gets; of the other files in the folder it gets none. */
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Its own files and calls, and nothing else: no script in the text, no other host, no frame around it, no form that is sent. With
 * trusted types, Chromium refuses even a script that would read text as HTML.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
} as const;

/** The admin page: a few files of `logic/admin-page/`, as they are written there. They hold no data and no key. */
export class AdminPage {
  readonly #files: ReadonlyMap<string, ApiResponse>;

  private constructor(files: ReadonlyMap<string, ApiResponse>) {
    this.#files = files;
  }

  /** Reads the files once; they are small, and nothing of a request reaches the file system. */
  static async load(folder: string = FOLDER): Promise<AdminPage> {
    const names = (await readdir(folder)).filter((name) => TYPES[extname(name)] !== undefined);
    const files = await Promise.all(
      names.map(async (name): Promise<[string, ApiResponse]> => {
        const body = await readFile(join(folder, name), "utf8");
        const type = TYPES[extname(name)] ?? "";
        return [`${PREFIX}${name}`, { status: 200, headers: { ...HEADERS, "content-type": type }, body }];
      }),
    );
    return new AdminPage(new Map(files));
  }

  /** A GET or HEAD of a file; undefined: it is none. */
  answer(method: string, path: string): ApiResponse | undefined {
    if (method !== "GET" && method !== "HEAD") return undefined;
    if (path === "/admin") return { status: 308, headers: { ...HEADERS, location: PREFIX }, body: "" };
    return this.#files.get(path === PREFIX ? `${PREFIX}${INDEX}` : path);
  }
}
