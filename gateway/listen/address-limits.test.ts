// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AddressLimits, addressKey } from "./address-limits.ts";

const NONE = { connections: undefined, maxOpen: undefined, failedLogins: undefined };

describe("address keys", () => {
  const keys: [string, string][] = [
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002:ffff::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:0:0:0:7", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
  ];
  for (const [address, key] of keys) it(`${address} is ${key}`, () => assert.equal(addressKey(address), key));
});

describe("limits per address", () => {
  it("bound new connections per second, with a burst, each address by itself", () => {
    const limits = new AddressLimits({ ...NONE, connections: { perSecond: 2, burst: 5 } });
    const opened = (key: string, nowMs: number): boolean => limits.opened(key, nowMs) === undefined;
    for (let i = 0; i < 5; i++) assert.ok(opened("a", 1000));
    assert.equal(limits.opened("a", 1000), "address_rate");
    assert.ok(opened("b", 1000));
    assert.ok(!opened("a", 1499));
    assert.ok(opened("a", 1500));
    assert.ok(!opened("a", 1500));
  });

  it("bound connections at a time", () => {
    const limits = new AddressLimits({ ...NONE, maxOpen: 2 });
    assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.opened("a", 0), "address_open");
    assert.equal(limits.opened("b", 0), undefined);
    limits.closed("a");
    assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.addresses, 2);
    limits.closed("a");
    limits.closed("a");
    limits.closed("b");
    assert.equal(limits.addresses, 0, "nothing is kept of those who went");
  });

  it("bound failed logins; those that succeed cost nothing", () => {
    const limits = new AddressLimits({ ...NONE, failedLogins: { perSecond: 1, burst: 3 } });
    for (const address of ["203.0.113.7", "203.0.113.8", "2001:db8::", "2001:db8:0:1::"])
      limits.opened(addressKey(address), 0);
    for (let i = 0; i < 3; i++) {
      assert.equal(limits.loginWaitMs("203.0.113.7", 0), 0);
      limits.loginFailed("203.0.113.7", 0);
    }
    assert.equal(limits.loginWaitMs("203.0.113.7", 0), 1000);
    assert.equal(limits.loginWaitMs("203.0.113.8", 0), 0);
    assert.equal(limits.loginWaitMs("203.0.113.7", 1000), 0);
    for (let i = 0; i < 3; i++) limits.loginFailed("2001:db8::1", 0);
    assert.ok(limits.loginWaitMs("2001:db8::2", 0) > 0, "the same /64");
    assert.equal(limits.loginWaitMs("2001:db8:0:1::1", 0), 0);
  });

  it("are for a while only, however many logins failed at once: others behind the address come in", () => {
    const limits = new AddressLimits({ ...NONE, failedLogins: { perSecond: 1, burst: 60 } });
    limits.opened("203.0.113.7", 0);
    for (let i = 0; i < 2000; i++) limits.loginFailed("203.0.113.7", 0);
    assert.equal(limits.loginWaitMs("203.0.113.7", 0), 11_000);
    assert.equal(limits.loginWaitMs("203.0.113.7", 11_000), 0);
    limits.loginFailed("203.0.113.7", 11_000);
    assert.equal(limits.loginWaitMs("203.0.113.7", 11_000), 1000, "and its burst is still used up");
  });

  it("count no failed logins of peers that nobody told to be clients", () => {
    const limits = new AddressLimits({ ...NONE, failedLogins: { perSecond: 1, burst: 1 } });
    for (let i = 0; i < 10; i++) limits.loginFailed("10.0.0.1", 0);
    assert.equal(limits.loginWaitMs("10.0.0.1", 0), 0);
    limits.opened("10.0.0.1", 0);
    assert.equal(limits.loginWaitMs("10.0.0.1", 0), 0);
    limits.loginFailed("10.0.0.1", 0);
    assert.equal(limits.loginWaitMs("10.0.0.1", 0), 1000);
  });

  it("without limits: ten thousand phones behind one address", () => {
    const limits = new AddressLimits(NONE);
    for (let i = 0; i < 10_000; i++) assert.equal(limits.opened("a", 0), undefined);
    assert.equal(limits.loginWaitMs("a", 0), 0);
  });
});
