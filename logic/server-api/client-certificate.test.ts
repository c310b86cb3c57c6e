// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { BINDING, readCertificate } from "./client-certificate.ts";

const FINGERPRINT = Array.from({ length: 32 }, () => "AB").join(":");
const DIGEST = `sha256:${"ab".repeat(32)}`;
const VALID_TO = "Nov 27 08:16:01 2026 GMT";
const namesOf = (subjectaltname: string): readonly string[] =>
  readCertificate({ fingerprint256: FINGERPRINT, subjectaltname, valid_to: VALID_TO })?.bindings ?? [];

it("a certificate is known by its digest and by its names", () => {
  const read = readCertificate({ fingerprint256: FINGERPRINT, valid_to: VALID_TO });
  assert.deepEqual(read, { bindings: [DIGEST], expiresMs: Date.UTC(2026, 10, 27, 8, 16, 1) });
  assert.deepEqual(namesOf("DNS:Shop.example, IP Address:10.0.0.1, URI:spiffe://shop/Api, email:a@b"), [
    DIGEST,
    "dns:shop.example",
    "uri:spiffe://shop/Api",
  ]);
  for (const binding of namesOf("DNS:a, URI:b:c")) assert.match(binding, BINDING);
});

it("no name counts that could have been put into another one, or that is none", () => {
  assert.deepEqual(namesOf('DNS:"a, URI:spiffe://shop, b", DNS:c'), [DIGEST]);
  assert.deepEqual(namesOf("DNS:*.shop.example, DNS:, URI:no scheme, DNS:a b"), [DIGEST]);
  assert.equal(namesOf(Array.from({ length: 50 }, (_, n) => `DNS:n${n}`).join(", ")).length, 33);
});

it("without a digest or an end there is nothing to go by", () => {
  const whole = { fingerprint256: FINGERPRINT, subjectaltname: "DNS:shop", valid_to: VALID_TO };
  for (const part of [{}, { ...whole, fingerprint256: "" }, { ...whole, valid_to: "" }, { ...whole, valid_to: "soon" }])
    assert.equal(readCertificate(part), undefined);
  assert.equal(readCertificate(undefined), undefined);
});
