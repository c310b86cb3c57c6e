// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AdminPage } from "./admin-page.ts";
import { type ApiListener, startApiListener } from "./listener.ts";

const FOLDER = join(import.meta.dirname, "../admin-page");

describe("AdminPage", async () => {
  const page = await AdminPage.load();

  it("has the page and its modules, styles and icon, and no other file of the folder", () => {
    for (const name of readdirSync(FOLDER)) {
      const isServed = /\.(html|js|css|svg)$/.test(name);
      assert.equal(page.answer("GET", `/admin/${name}`) !== undefined, isServed, name);
    }
    const index = page.answer("GET", "/admin/");
    assert.equal(index?.headers["content-type"], "text/html; charset=utf-8");
    assert.equal(page.answer("GET", "/admin/main.js")?.headers["content-type"], "text/javascript; charset=utf-8");
    assert.equal(page.answer("HEAD", "/admin/index.html")?.body, index?.body);
    assert.deepEqual(
      [page.answer("GET", "/admin")?.status, page.answer("GET", "/admin")?.headers.location],
      [308, "/admin/"],
    );
  });

  it("serves nothing beyond the folder, and reads only", () => {
    for (const path of [
      "/admin/../config.ts",
      "/admin/%2e%2e/config.ts",
      "/admin//main.js",
      "/admin/main.js/",
      "/adminx",
      "/",
    ])
      assert.equal(page.answer("GET", path), undefined, path);
    for (const method of ["POST", "DELETE", "OPTIONS"]) assert.equal(page.answer(method, "/admin/"), undefined);
  });

  it("lets the browser run its own files and call its own server, and nothing else", () => {
    for (const path of ["/admin", "/admin/", "/admin/main.js", "/admin/style.css", "/admin/icon.svg"]) {
      const headers: Readonly<Record<string, string>> = page.answer("GET", path)?.headers ?? {};
      const policy = new Map(
        (headers["content-security-policy"] ?? "").split("; ").map((rule) => {
          const [name = "", ...values] = rule.split(" ");
          return [name, values.join(" ")];
        }),
      );
      assert.equal(policy.get("default-src"), "'none'", path);
      for (const kind of ["script-src", "style-src", "img-src", "connect-src"])
        assert.equal(policy.get(kind), "'self'");
      for (const kind of ["base-uri", "form-action", "frame-ancestors"]) assert.equal(policy.get(kind), "'none'");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["x-frame-options"], "DENY");
    }
  });

  it("names files that are there, of its own folder: nothing from elsewhere, nothing in the text", () => {
    const html = page.answer("GET", "/admin/")?.body ?? "";
    const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name = ""]) => name);
    assert.deepEqual(named, ["icon.svg", "style.css", "main.js"]);
    assert.ok(!/<script(?![^>]*src)|<style|\son\w+=|\sstyle=/.test(html));
    for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".js"))) {
      const text = page.answer("GET", `/admin/${name}`)?.body ?? "";
      for (const [, target = ""] of text.matchAll(/^(?:import|export) .*from "([^"]+)";$/gm))
        assert.ok(page.answer("GET", `/admin/${target.replace("./", "")}`), `${name} imports ${target}`);
      assert.ok(
        !/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|sessionStorage|document\.cookie/.test(text),
        name,
      );
    }
  });
});

describe("the admin page on the listener", () => {
  let listener: ApiListener;
  let handled = 0;
  const url = (path: string): string => `http://127.0.0.1:${listener.port}${path}`;
  before(async () => {
    const desk = {
      handle: async () => {
        handled++;
        return { status: 404, headers: {}, body: "{}" };
      },
    };
    listener = await startApiListener({ port: 0, desk, document: "{}", tls: undefined, page: await AdminPage.load() });
  });
  after(() => listener.close());

  it("is served without a key, never stored, and asks the API nothing", async () => {
    const response = await fetch(url("/admin"));
    assert.deepEqual([response.status, response.url], [200, url("/admin/")]);
    assert.match(await response.text(), /<script type="module" src="main.js">/);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.ok(response.headers.get("content-security-policy"));
    const head = await fetch(url("/admin/main.js?v=1"), { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    assert.equal(handled, 0);
    await (await fetch(url("/admin/none.js"))).text();
    await (await fetch(url("/admin/"), { method: "POST" })).text();
    assert.equal(handled, 2);
  });
});
