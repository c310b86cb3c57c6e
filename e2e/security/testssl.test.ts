// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinding, verdictOf } from "./checks.ts";
import { checksOfTestssl, type TestsslItem } from "./testssl.ts";

const item = (id: string, severity: string, finding = "said so"): TestsslItem => ({ id, severity, finding });

/** As testssl.sh writes it for an entry that is fine. */
const FINE: readonly TestsslItem[] = [
  item("engine_problem", "WARN", "No engine or GOST support via engine with your /usr/bin/openssl"),
  item("service", "INFO", "HTTP"),
  item("SSLv3", "OK", "not offered"),
  item("TLS1_1", "INFO", "not offered"),
  item("TLS1_2", "INFO", "not offered"),
  item("TLS1_3", "OK", "offered with final"),
  item("cipherlist_NULL", "OK", "not offered"),
  item("cipherlist_AVERAGE", "INFO", "not offered"),
  item("cipherlist_STRONG", "OK", "offered"),
  item("PFS", "OK", "offered"),
  item("cert_chain_of_trust", "OK", "passed."),
  item("cert_revocation", "HIGH", "Neither CRL nor OCSP URI provided"),
  item("HSTS_time", "OK", "365 days (=31536000 seconds) > 15552000 seconds"),
  item("banner_server", "INFO", "No Server banner line in header, interesting!"),
  item("heartbleed", "OK", "not vulnerable, no heartbeat extension"),
  item("secure_client_renego", "OK", "not vulnerable"),
  item("ROBOT", "OK", "not vulnerable, no RSA key transport cipher"),
  item("LUCKY13", "OK", "not vulnerable"),
  item("scanTime", "INFO", "40"),
];

const checksOf = (items: readonly unknown[]) => checksOfTestssl("tls", JSON.stringify(items));
const findingsOf = (items: readonly unknown[]): string[] =>
  checksOf(items)
    .filter(isFinding)
    .map(({ name }) => name);

describe("a report of testssl.sh", () => {
  it("that is fine has no finding; what was allowed is still told", () => {
    const checks = checksOf(FINE);
    const verdict = verdictOf(checks);
    assert.deepEqual(
      { findings: verdict.findings, allowed: verdict.allowed, ok: verdict.ok },
      { findings: 0, allowed: 2, ok: true },
    );
    assert.equal(verdict.checks, 1 + FINE.filter(({ severity }) => severity !== "INFO").length);
    assert.match(checks.find(({ name }) => name === "tls: cert_revocation")?.allowedFor ?? "", /authority/);
  });

  for (const severity of ["MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL", "NEW WORD"])
    it(`of a planted ${severity} is red`, () => {
      const items = [...FINE, item("BEAST", severity, "VULNERABLE")];
      assert.deepEqual(findingsOf(items), ["tls: BEAST"]);
      assert.equal(verdictOf(checksOf(items)).ok, false);
    });

  it("of something low tells it and stays green", () => {
    const verdict = verdictOf(checksOf([...FINE, item("LUCKY14", "LOW")]));
    assert.deepEqual([verdict.low, verdict.ok], [1, true]);
  });

  it("is allowed by the exact id and the exact text only", () => {
    const others = [
      item("cert_revocation", "HIGH", "revoked"),
      item("cert_revocation2", "HIGH", "Neither CRL nor OCSP URI provided"),
      item("CERT_REVOCATION", "HIGH", "Neither CRL nor OCSP URI provided"),
    ];
    for (const other of others) assert.deepEqual(findingsOf([...FINE, other]), [`tls: ${other.id}`]);
  });

  it("without a part of the scan is red", () => {
    for (const id of ["heartbleed", "TLS1_3", "scanTime", "cipherlist_AVERAGE"]) {
      assert.deepEqual(findingsOf(FINE.filter((one) => one.id !== id)), ["tls: report"], id);
    }
    assert.deepEqual(findingsOf([]), ["tls: report"]);
  });

  it("that cannot be read is red", () => {
    for (const text of ["", "{}", "[", "null", '[{"id":"x"}]', "[null]"]) {
      assert.deepEqual(checksOfTestssl("tls", text).filter(isFinding).length, 1, text);
    }
  });
});
