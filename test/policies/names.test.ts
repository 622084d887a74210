/** Protects replays: a journal names the rule that decided, and by that name no other is found. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bareHostPolicy, findPolicy, hostPolicy, POLICIES, selfPolicy } from '../../src/policies/index.js';

describe('the name of a rule', () => {
  it('is its own', () => {
    for (const [name, policy] of Object.entries(POLICIES)) assert.equal(policy.name, name);
  });

  it('finds it, and nothing where there is none', () => {
    for (const policy of [selfPolicy, hostPolicy, bareHostPolicy]) assert.equal(findPolicy(policy.name), policy);
    assert.equal(findPolicy('selfpolicy'), null);
  });
});
