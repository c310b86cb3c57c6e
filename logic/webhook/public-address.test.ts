// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { AllowedNetworks, isPublicAddress } from "./public-address.ts";

const PRIVATE = [
  ...["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9"],
  ...["169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1"],
  ...["198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1"],
  ...["255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "::ffff:7f00:1", "::8.8.8.8", "64:ff9b::1"],
  ...["64:ff9b:1::1", "100::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1"],
  ...["2001::1", "2001:10::1", "2002:7f00:1::", "3fff::1", "4000::1", "5f00::1", "", "localhost", "8.8.8.8.", "1.2.3"],
];
const PUBLIC = [
  ...["8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.1.1.1", "128.0.0.1"],
  ...[
    "169.253.1.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "192.167.1.1",
    "198.17.1.1",
    "198.20.0.1",
    "223.255.255.1",
  ],
  ...["2001:4860:4860::8888", "2606:4700::1111", "2400:3200::1", "2a00:1450::1"],
];

it("only addresses of the Internet are public", () => {
  for (const address of PRIVATE) assert.equal(isPublicAddress(address), false, address);
  for (const address of PUBLIC) assert.equal(isPublicAddress(address), true, address);
});

it("networks are allowed by name", () => {
  const allowed = new AllowedNetworks(["10.1.0.0/16", "fd00::/8"]);
  assert.ok(allowed.has("10.1.255.1") && allowed.has("fd12::1"));
  for (const address of ["10.2.0.1", "127.0.0.1", "fe80::1", "", "x"])
    assert.equal(allowed.has(address), false, address);
  assert.equal(new AllowedNetworks([]).has("10.1.0.1"), false);
  for (const bad of ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/-1", "10.0.0.0/8/9"])
    assert.throws(() => new AllowedNetworks([bad]), /is no network/, bad);
});
