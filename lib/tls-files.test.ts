// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createTestAuthority } from "../e2e/harness/tls.ts";
import type { ImError } from "./errors.ts";
import { readTlsFiles, type TlsFiles, watchTlsFiles } from "./tls-files.ts";

describe("TLS files", () => {
  const root = mkdtempSync(join(tmpdir(), "im-tls-"));
  const [first, second, live] = ["first", "second", "live"].map((name) => join(root, name)) as [string, string, string];
  const install = (from: string) => {
    for (const name of ["tls.crt", "tls.key"]) copyFileSync(join(from, name), join(live, name));
  };

  before(async () => {
    const authority = await createTestAuthority(join(root, "ca"));
    for (const dir of [first, second, live]) await authority.issue(dir, { dnsNames: ["a.test"] });
  });
  after(() => rmSync(root, { recursive: true }));

  it("takes only another usable pair, and says once when one is not usable", () => {
    install(first);
    const changes: TlsFiles[] = [];
    const errors: ImError[] = [];
    const watch = watchTlsFiles(live, (files) => changes.push(files), {
      pollMs: 60_000,
      onError: (e) => errors.push(e),
    });
    try {
      watch.check();
      assert.equal(changes.length, 0);
      copyFileSync(join(second, "tls.crt"), join(live, "tls.crt"));
      watch.check();
      watch.check();
      assert.equal(changes.length, 0);
      assert.equal(errors.length, 1, "a certificate without its key is reported once");
      assert.deepEqual(watch.current().cert, readTlsFiles(first).cert);
      install(second);
      watch.check();
      assert.equal(changes.length, 1);
      assert.deepEqual(watch.current(), readTlsFiles(live));
    } finally {
      watch.close();
    }
  });

  it("names the folder when there is no usable pair at the start", () => {
    assert.throws(() => readTlsFiles(join(root, "none")), /no usable tls.crt and tls.key in .*none: ENOENT/);
    writeFileSync(join(live, "tls.key"), "not a key");
    assert.throws(() => watchTlsFiles(live, () => undefined), /no usable tls.crt/);
  });
});
