// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { createSecureContext } from "node:tls";
import { authorityAt, createTestAuthority, issueRoleFolders } from "./tls.ts";

describe("test authority", () => {
  const dir = mkdtempSync(join(tmpdir(), "im-tls-"));
  after(() => rmSync(dir, { recursive: true }));

  it("issues usable certificates for names, addresses and roles", async () => {
    await createTestAuthority(join(dir, "ca"));
    const authority = authorityAt(join(dir, "ca"));
    const issued = await authority.issue(join(dir, "server"), { dnsNames: ["im.test"], ips: ["127.0.0.1"] });
    const certificate = new X509Certificate(readFileSync(join(issued.dir, "tls.crt")));
    assert.ok(certificate.verify(new X509Certificate(authority.ca).publicKey));
    assert.equal(certificate.checkHost("im.test"), "im.test");
    assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
    createSecureContext({
      cert: readFileSync(join(issued.dir, "tls.crt")),
      key: readFileSync(join(issued.dir, "tls.key")),
    });
    const folders = await issueRoleFolders(authority, join(dir, "internal"), ["entry", "logic"]);
    const logic = new X509Certificate(readFileSync(join(folders.logic, "tls.crt")));
    assert.equal(logic.checkHost("logic.imcluster.internal"), "logic.imcluster.internal");
    assert.equal(logic.checkHost("entry.imcluster.internal"), undefined);
  });
});
